// The memory of unfinished messages: one peer's sessions share it, and other peers are not affected.
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Channel } from "../../../src/channel/Channel.ts"
import { dial } from "../../../src/services/Dial.ts"
import * as MessageClient from "../../../src/services/messages/MessageClient.ts"
import { limits, makeId } from "../../../src/services/messages/MessageFrame.ts"
import * as MessageService from "../../../src/services/messages/MessageService.ts"
import { ReceiptDecoder, type Receipt } from "../../../src/services/messages/Receipt.ts"
import { waitUntil, withTimeout } from "../../../src/testing/steps.ts"
import type { Address } from "../../../src/transports/Address.ts"
import { Transport } from "../../../src/transports/index.ts"
import { dialKeys, serverKeys, suiteOf } from "../../channel/rig.ts"
import { PeerList } from "../../../src/peers/PeerList.ts"
import { PeerSessions } from "../../../src/services/PeerSessions.ts"
import { rulesOf } from "../../peers/rulesOf.ts"
import { startServer } from "../startServer.ts"

const MiB = 1024 * 1024

/** A server whose peers may hold this many bytes each. */
const servingWith = (peerMemory: number) =>
  Effect.gen(function* () {
    const sizes: Array<number> = []
    const server = yield* startServer({
      keys: serverKeys,
      peerMemory,
      services: [
        MessageService.service(
          (messages) => Effect.sync(() => void sizes.push(...messages.map(({ size }) => size))),
          { reply: () => Effect.succeed(Buffer.alloc(8)) }
        )
      ]
    })
    return { ...server, sizes }
  })

const serving = servingWith(MiB)

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

  it.scopedLive("counts against the bytes per minute, also when it is never finished", () =>
    Effect.gen(function* () {
      const publicKey = dialKeys(suiteOf("IK")).identity?.publicKey ?? Buffer.alloc(0)
      const rules = rulesOf({ bytesPerMinute: 1000 })
      const peers = yield* PeerSessions.make(
        new PeerList([{ publicKey, name: "alice", rules, line: 1 }])
      )
      const { address, events } = yield* startServer({
        keys: { ...serverKeys, authorize: peers.authorize },
        peers,
        services: [MessageService.service(() => Effect.void)]
      })
      const first = yield* open(address)
      yield* begin(first, 900, 800)
      yield* Effect.sleep("50 millis")
      yield* first.reset
      yield* waitUntil("the end", () => events.some(({ _tag }) => _tag === "SessionEnded"))
      const second = yield* open(address)
      yield* begin(second, 500, 500)
      expect(yield* nextReceipt(second)).toEqual({ status: "limited", count: 0 })
    }).pipe(memory)
  )

  it.scopedLive("that is short needs none, also while nothing is free", () =>
    Effect.gen(function* () {
      const { address } = yield* serving
      const [first, second] = [yield* open(address), yield* open(address)]
      yield* begin(first, MiB - 1000, 100)
      // Not before the first has its memory.
      yield* Effect.sleep("50 millis")
      yield* begin(second, 100_000, 100)
      yield* second.write(Buffer.alloc(99_900))
      expect(yield* nextReceipt(second)).toEqual(handled)
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

describe("a reply", () => {
  const request = (address: Address, count: number) =>
    Effect.gen(function* () {
      const client = yield* MessageClient.connect({ address, keys: dialKeys(suiteOf("IK")) })
      const replies = Array.from({ length: count }, () => client.request(Buffer.from("x")))
      return (yield* withTimeout("the replies", Effect.all(replies))).length
    })

  it.scopedLive("holds the memory of the longest one until it was sent", () =>
    Effect.gen(function* () {
      const { address } = yield* servingWith(limits.replyBytes)
      expect(yield* request(address, 3)).toBe(3)
    }).pipe(memory)
  )

  it.scopedLive("that exceeds the memory of the peer is refused", () =>
    Effect.gen(function* () {
      const { address } = yield* servingWith(limits.replyBytes - 1)
      expect(yield* Effect.flip(request(address, 1))).toMatchObject({ status: "limited" })
    }).pipe(memory)
  )
})
