// The memory of unfinished messages: one peer's sessions share it, and other peers are not affected.
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Channel } from "../../../src/channel/Channel.ts"
import { dial } from "../../../src/services/Dial.ts"
import { makeId } from "../../../src/services/messages/MessageFrame.ts"
import * as MessageService from "../../../src/services/messages/MessageService.ts"
import { ReceiptDecoder, type Receipt } from "../../../src/services/messages/Receipt.ts"
import * as Server from "../../../src/services/Server.ts"
import { waitUntil, withTimeout } from "../../../src/testing/steps.ts"
import type { Address } from "../../../src/transports/Address.ts"
import { Transport } from "../../../src/transports/index.ts"
import { anyPort, dialKeys, serverKeys, suiteOf } from "../../channel/rig.ts"

const MiB = 1024 * 1024

/** A server whose peers may hold 1 MiB each. */
const serving = Effect.gen(function* () {
  const sizes: Array<number> = []
  const events: Array<Server.ServerEvent> = []
  const listening = yield* Deferred.make<Address>()
  yield* Effect.forkScoped(
    Server.serve({
      address: anyPort,
      keys: serverKeys,
      peerMemory: MiB,
      services: [
        MessageService.service(
          (messages) => Effect.sync(() => void sizes.push(...messages.map(({ size }) => size))),
          { reply: () => Effect.succeed(Buffer.alloc(8)) }
        )
      ],
      on: (event) =>
        Effect.suspend(() => {
          events.push(event)
          return event._tag === "Listening"
            ? Deferred.succeed(listening, event.address)
            : Effect.void
        })
    })
  )
  return { address: yield* withTimeout("the listener", Deferred.await(listening)), sizes, events }
})

const open = (address: Address, suite: "IK" | "NNpsk0" = "IK") =>
  dial({ address, keys: dialKeys(suiteOf(suite)) }, "message")

/** Sends the header of a message of `size` bytes and the first `sent` bytes of its text. */
const begin = (channel: Channel, size: number, sent: number) => {
  const header = Buffer.alloc(4)
  header.writeUInt32BE(size)
  return channel.write(Buffer.concat([header, makeId(), Buffer.alloc(sent)]))
}

const nextReceipt = (channel: Channel) =>
  Effect.gen(function* () {
    const decoder = new ReceiptDecoder()
    for (;;) {
      const item = yield* channel.read
      if (!(item instanceof Uint8Array)) return yield* Effect.dieMessage("no receipt")
      const [receipt] = decoder.push(item)
      if (receipt !== undefined) return receipt
    }
  })

const memory = Effect.provide(Transport.layerMemory())
const handled: Receipt = { status: "handled", count: 1 }

describe("an unfinished message", () => {
  it.scopedLive("holds memory, for which the other sessions of the peer wait", () =>
    Effect.gen(function* () {
      const { address, sizes } = yield* serving
      const [first, second] = [yield* open(address), yield* open(address)]
      yield* begin(first, 800_000, 400_000)
      // Not before the first has its memory.
      yield* Effect.sleep("50 millis")
      yield* begin(second, 700_000, 200_000)
      const rest = yield* Effect.fork(second.write(Buffer.alloc(500_000)))
      yield* Effect.sleep("100 millis")
      expect(sizes).toEqual([])
      // Short messages of another session need none.
      const third = yield* open(address)
      yield* begin(third, 1000, 1000)
      expect(yield* nextReceipt(third)).toEqual(handled)
      // Another peer has memory of its own.
      const other = yield* open(address, "NNpsk0")
      yield* begin(other, 900_000, 900_000)
      expect(yield* nextReceipt(other)).toEqual(handled)
      yield* first.write(Buffer.alloc(400_000))
      expect(yield* nextReceipt(first)).toEqual(handled)
      expect(yield* nextReceipt(second)).toEqual(handled)
      yield* Fiber.join(rest)
      expect(sizes).toEqual([1000, 900_000, 800_000, 700_000])
    }).pipe(memory)
  )

  it.scopedLive("gives its memory back when the session is cut", () =>
    Effect.gen(function* () {
      const { address } = yield* serving
      const first = yield* open(address)
      yield* begin(first, 900_000, 100)
      yield* Effect.sleep("50 millis")
      yield* first.reset
      const second = yield* open(address)
      yield* begin(second, 900_000, 900_000)
      expect(yield* nextReceipt(second)).toEqual(handled)
    }).pipe(memory)
  )

  it.scopedLive("that exceeds the memory of the peer is refused with a receipt", () =>
    Effect.gen(function* () {
      const { address, events } = yield* serving
      const channel = yield* open(address)
      yield* begin(channel, 2 * MiB, 200_000)
      expect(yield* nextReceipt(channel)).toEqual({ status: "limited", count: 0 })
      yield* waitUntil("the end", () => events.some(({ _tag }) => _tag === "SessionEnded"))
      expect(events.find(({ _tag }) => _tag === "SessionEnded")).toMatchObject({
        error: {
          _tag: "RefusedByRules",
          reason: "its unfinished requests would exceed 1,048,576 bytes of memory"
        }
      })
    }).pipe(memory)
  )
})
