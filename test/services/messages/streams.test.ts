// Messages as a Sink of a client and a Stream of a server.
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as MessageClient from "../../../src/services/messages/MessageClient.ts"
import { MessageRefused } from "../../../src/services/messages/MessageErrors.ts"
import { limits } from "../../../src/services/messages/MessageFrame.ts"
import * as MessageService from "../../../src/services/messages/MessageService.ts"
import * as Server from "../../../src/services/Server.ts"
import type { Service } from "../../../src/services/Service.ts"
import { pause, settled, waitUntil, withTimeout } from "../../../src/testing/steps.ts"
import type { Address } from "../../../src/transports/Address.ts"
import { Transport } from "../../../src/transports/index.ts"
import { anyPort, dialKeys, serverKeys, suiteOf } from "../../channel/rig.ts"

const memory = Effect.provide(Transport.layerMemory())
const textOf = ({ text }: { readonly text: Uint8Array }) => Buffer.from(text).toString()
const listen = (service: Service<MessageRefused>) =>
  Server.listen({ address: anyPort, keys: serverKeys, services: [service] })
const connect = ({ address }: { readonly address: Address }) =>
  MessageClient.connect({ address, keys: dialKeys(suiteOf("IK")) })
const numbers = (count: number) =>
  Stream.map(Stream.range(1, count), (number) => Buffer.from(String(number)))

describe("a sink of messages", () => {
  it.scopedLive("completes when the server has handled all of them", () =>
    Effect.gen(function* () {
      const handled: Array<string> = []
      const service = MessageService.service((messages) =>
        Effect.map(pause(1), () => void handled.push(...messages.map(textOf)))
      )
      const client = yield* connect(yield* listen(service))
      yield* withTimeout("the receipts", Stream.run(numbers(5000), MessageClient.toSink(client)))
      expect(handled).toEqual(Array.from({ length: 5000 }, (_, index) => String(index + 1)))
    }).pipe(memory)
  )

  it.scoped("waits for a server that handles nothing", () =>
    Effect.gen(function* () {
      const client = yield* connect(yield* listen(MessageService.service(() => Effect.never)))
      let taken = 0
      const endless = Stream.repeatEffect(Effect.sync(() => Buffer.alloc(10_000, taken++)))
      const sending = yield* Effect.fork(Stream.run(endless, MessageClient.toSink(client)))
      expect(yield* settled(() => taken)).toBeLessThan(300)
      yield* client.channel.reset
      yield* withTimeout("the failure", Effect.flip(Fiber.join(sending)))
    }).pipe(memory)
  )

  it.scopedLive("fails with the refusal of a message, and takes no more", () =>
    Effect.gen(function* () {
      const service = MessageService.service(() =>
        Effect.fail(new MessageRefused({ reason: "it is refused" }))
      )
      const client = yield* connect(yield* listen(service))
      const endless = Stream.tap(Stream.forever(numbers(1)), () => pause(1))
      expect(
        yield* withTimeout(
          "the failure",
          Effect.flip(Stream.run(endless, MessageClient.toSink(client)))
        )
      ).toMatchObject({ _tag: "NotTaken", status: "refused" })
    }).pipe(memory)
  )

  it.scopedLive("sends no message that is too long", () =>
    Effect.gen(function* () {
      const client = yield* connect(yield* listen(MessageService.service(() => Effect.void)))
      const long = Stream.make(Buffer.alloc(limits.messageBytes + 1))
      expect(yield* Effect.flip(Stream.run(long, MessageClient.toSink(client)))).toMatchObject({
        _tag: "MessageTooLong"
      })
    }).pipe(memory)
  )
})

describe("a stream of messages", () => {
  it.scopedLive("acknowledges a message when the next one is demanded", () =>
    Effect.gen(function* () {
      const { service, messages } = yield* MessageService.stream
      const client = yield* connect(yield* listen(service))
      let acknowledged = 0
      client.onReceipt((count) => (acknowledged = count))
      const gates = yield* Effect.all([Deferred.make<void>(), Deferred.make<void>()])
      const handled: Array<string> = []
      yield* Effect.forkScoped(
        Stream.runForEach(messages, ({ message, sender }) => {
          handled.push(`${sender.peer}: ${textOf(message)}`)
          return Deferred.await(gates[handled.length - 1] as Deferred.Deferred<void>)
        })
      )
      const sending = yield* Effect.fork(client.send([Buffer.from("one"), Buffer.from("two")]))
      for (const [index, text] of ["one", "two"].entries()) {
        yield* waitUntil(text, () => handled.length === index + 1)
        yield* pause(20)
        expect([handled.at(-1), acknowledged]).toEqual([`alice: ${text}`, index])
        yield* Deferred.succeed(gates[index] as Deferred.Deferred<void>, undefined)
      }
      yield* withTimeout("the receipts", Fiber.join(sending))
    }).pipe(memory)
  )

  it.scopedLive("acknowledges the last message of a reader that ends", () =>
    Effect.gen(function* () {
      const { service, messages } = yield* MessageService.stream
      const server = yield* listen(service)
      const reader = yield* Effect.fork(Stream.runCollect(Stream.take(messages, 2)))
      const client = yield* connect(server)
      yield* withTimeout("the receipts", client.send([Buffer.from("1"), Buffer.from("2")]))
      expect([...(yield* Fiber.join(reader))].map(({ message }) => textOf(message))).toEqual([
        "1",
        "2"
      ])
    }).pipe(memory)
  )

  it.scopedLive("has the message of a reader that fails sent again later, to the next reader", () =>
    Effect.gen(function* () {
      const { service, messages } = yield* MessageService.stream
      const server = yield* listen(service)
      const reader = yield* Effect.fork(
        Stream.runForEach(messages, ({ message }) =>
          textOf(message) === "2" ? Effect.fail("broken") : Effect.void
        )
      )
      const texts = ["1", "2", "3"].map((text) => Buffer.from(text))
      const client = yield* connect(server)
      expect(yield* withTimeout("the failure", Effect.flip(client.send(texts)))).toMatchObject({
        _tag: "NotTaken",
        status: "later",
        handled: 1
      })
      expect(yield* Effect.flip(Fiber.join(reader))).toBe("broken")
      const next = yield* Effect.fork(Stream.runHead(messages))
      const another = yield* connect(server)
      yield* withTimeout("the receipt", another.send(texts.slice(1, 2)))
      expect(yield* Fiber.join(next)).toMatchObject({ value: { sender: { peer: "alice" } } })
    }).pipe(memory)
  )

  // Under TestClock a server waits a second, not ten, for a handler that does not end.
  it.scoped("forgets the message of a server that has ended before it was read", () =>
    Effect.gen(function* () {
      const { service, messages } = yield* MessageService.stream
      yield* Effect.gen(function* () {
        const client = yield* connect(yield* listen(service))
        yield* Effect.forkScoped(Effect.ignore(client.send([Buffer.from("interrupted")])))
        yield* pause(30)
      }).pipe(Effect.scoped)
      const client = yield* connect(yield* listen(service))
      const sending = yield* Effect.fork(client.send([Buffer.from("read")]))
      const first = yield* withTimeout("a message", Stream.runHead(messages))
      expect(first._tag === "Some" ? textOf(first.value.message) : "").toBe("read")
      yield* withTimeout("the receipt", Fiber.join(sending))
    }).pipe(memory)
  )

  it.scopedLive("shares the messages of many sessions among its readers", () =>
    Effect.gen(function* () {
      const { service, messages } = yield* MessageService.stream
      const server = yield* listen(service)
      const handled = [new Set<string>(), new Set<string>()] as const
      for (const each of handled)
        yield* Effect.forkScoped(
          Stream.runForEach(messages, ({ message }) =>
            Effect.map(pause(1), () => void each.add(textOf(message)))
          )
        )
      yield* withTimeout(
        "the receipts",
        Effect.forEach(
          Array.from({ length: 8 }).keys(),
          (name) =>
            Effect.scoped(
              Effect.flatMap(connect(server), (client) =>
                client.send([1, 2, 3].map((number) => Buffer.from(`${name} ${number}`)))
              )
            ),
          { concurrency: "unbounded" }
        )
      )
      expect(new Set([...handled[0], ...handled[1]]).size).toBe(24)
      for (const { size } of handled) expect(size).toBeGreaterThan(0)
    }).pipe(memory)
  )
})
