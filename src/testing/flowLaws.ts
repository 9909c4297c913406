// The laws of a connection's flow.
import * as Effect from "effect/Effect"
import type { Connection, Flow } from "../transports/Connection.ts"
import type { Runner } from "./Runner.ts"
import { settled, waitUntil } from "./steps.ts"
import { lawsOf, type TransportSubject } from "./TransportSubject.ts"

/** The events that a listener has received. */
interface Received {
  readonly bytes: () => Buffer
  readonly length: () => number
  readonly ended: () => boolean
  readonly lost: () => boolean
  readonly drained: () => number
}

const listenTo = ({ flow }: Connection): Received => {
  const chunks: Array<Uint8Array> = []
  const counts = { bytes: 0, end: 0, lost: 0, drained: 0 }
  flow.start({
    // Copied, because the flow may reuse the memory of the chunk.
    bytes: (chunk) => {
      counts.bytes += chunk.length
      chunks.push(Buffer.from(chunk))
    },
    drained: () => counts.drained++,
    end: () => counts.end++,
    lost: () => counts.lost++
  })
  return {
    bytes: () => Buffer.concat(chunks),
    length: () => counts.bytes,
    ended: () => counts.end > 0,
    lost: () => counts.lost > 0,
    drained: () => counts.drained
  }
}

/** Defines the laws of a `Flow`. */
export const flowLaws = (vitest: Runner, subject: TransportSubject): void => {
  const { expect } = vitest
  const { maxUnreadBytes, maxReadAheadBytes, supportsReset, supportsHalfClose = true } = subject
  const { bothWays } = lawsOf(vitest, subject)

  bothWays(
    "delivers all bytes in order, releases their memory, then reports the end",
    ({ connection: one }, { connection: other }) =>
      Effect.gen(function* () {
        const [received, receivedByPeer] = [listenTo(one), listenTo(other)]
        const sent = Array.from({ length: 40 }, (_, index) =>
          Buffer.alloc(1 + ((index * 97) % 900), `${index} `)
        )
        let released = 0
        for (const piece of sent) one.flow.write(piece, () => released++)
        yield* waitUntil("the memory of all pieces", () => released === sent.length)
        yield* waitUntil("the bytes", () => receivedByPeer.bytes().equals(Buffer.concat(sent)))
        expect(receivedByPeer.ended()).toBe(false)
        one.flow.end()
        yield* waitUntil("the end", receivedByPeer.ended)
        if (!supportsHalfClose) return
        // The other direction stays open.
        other.flow.write(Buffer.from("an answer"))
        yield* waitUntil("the answer", () => received.bytes().toString() === "an answer")
        expect(received.ended() || received.lost()).toBe(false)
        other.flow.end()
        yield* waitUntil("the end of the answer", received.ended)
      })
  )

  bothWays(
    "reports a reset as a loss and not as an end",
    ({ connection: one }, { connection: other }) =>
      Effect.gen(function* () {
        const receivedByPeer = listenTo(other)
        listenTo(one)
        one.flow.write(Buffer.from("unfinished"))
        yield* waitUntil(
          "what came first",
          () => receivedByPeer.bytes().toString() === "unfinished"
        )
        one.flow.reset()
        yield* waitUntil("the loss", () => receivedByPeer.lost() || receivedByPeer.ended())
        if (supportsReset) expect(receivedByPeer.ended()).toBe(false)
        yield* waitUntil("the loss on this side", one.flow.isResetByPeer)
      })
  )

  bothWays(
    "reports when the send buffer is full, and when it has room again",
    ({ connection: one }, { connection: other }) =>
      Effect.gen(function* () {
        const [received, receivedByPeer] = [listenTo(one), listenTo(other)]
        other.flow.pause()
        let total = 1.25 * (maxUnreadBytes + maxReadAheadBytes)
        const block = 16 * 1024
        let written = 0
        const writeAll = (flow: Flow) => {
          for (let room = true; room && written < total; written += block)
            room = flow.write(Buffer.alloc(block, written / block))
        }
        writeAll(one.flow)
        let drained = 0
        const writing = waitUntil("it to be written", () => {
          if (received.drained() > drained) {
            drained = received.drained()
            writeAll(one.flow)
          }
          return written >= total
        })
        const all = yield* Effect.fork(writing)
        expect(yield* settled(() => written)).toBeLessThan(total)
        // The send buffer is full: some blocks more show that it has room again.
        total = Math.min(total, written + 3 * block)
        other.flow.resume()
        yield* all
        yield* waitUntil("all of it", () => receivedByPeer.length() === written)
        const bytes = receivedByPeer.bytes()
        const wrong = Array.from({ length: written / block }, (_, index) => index).filter(
          (index) =>
            !bytes.subarray(index * block, (index + 1) * block).equals(Buffer.alloc(block, index))
        )
        expect(wrong).toEqual([])
      })
  )
}
