// The laws of a connection's flow: what a channel, and with it every program here, stands on.
import * as Effect from "effect/Effect"
import type { Connection, Flow } from "../transports/Connection.ts"
import type { Runner } from "./Runner.ts"
import { settled, waitUntil } from "./steps.ts"
import { lawsOf, type TransportSubject } from "./TransportSubject.ts"

/** What a sink has heard. */
interface Heard {
  readonly bytes: () => Buffer
  readonly ended: () => boolean
  readonly lost: () => boolean
  readonly drained: () => number
}

const hearing = ({ flow }: Connection): Heard => {
  const chunks: Array<Uint8Array> = []
  const happened = { end: 0, lost: 0, drained: 0 }
  flow.start({
    // A copy: whose memory the chunk is nobody has said.
    bytes: (chunk) => chunks.push(Buffer.from(chunk)),
    drained: () => happened.drained++,
    end: () => happened.end++,
    lost: () => happened.lost++
  })
  return {
    bytes: () => Buffer.concat(chunks),
    ended: () => happened.end > 0,
    lost: () => happened.lost > 0,
    drained: () => happened.drained
  }
}

/** The laws of a `Flow`. */
export const flowLaws = (vitest: Runner, subject: TransportSubject): void => {
  const { expect } = vitest
  const { maxUnreadBytes, maxReadAheadBytes, supportsReset } = subject
  const { bothWays } = lawsOf(vitest, subject)

  bothWays(
    "brings all bytes in order, gives their memory back, and then the end",
    ({ connection: one }, { connection: other }) =>
      Effect.gen(function* () {
        const [mine, theirs] = [hearing(one), hearing(other)]
        const sent = Array.from({ length: 40 }, (_, index) =>
          Buffer.alloc(1 + ((index * 97) % 900), `${index} `)
        )
        let taken = 0
        for (const piece of sent) one.flow.write(piece, () => taken++)
        yield* waitUntil("the memory of all pieces", () => taken === sent.length)
        yield* waitUntil("the bytes", () => theirs.bytes().equals(Buffer.concat(sent)))
        expect(theirs.ended()).toBe(false)
        one.flow.end()
        yield* waitUntil("the end", theirs.ended)
        // The other direction goes on.
        other.flow.write(Buffer.from("an answer"))
        yield* waitUntil("the answer", () => mine.bytes().toString() === "an answer")
        expect(mine.ended() || mine.lost()).toBe(false)
        other.flow.end()
        yield* waitUntil("the end of the answer", mine.ended)
      })
  )

  bothWays(
    "tells a loss, and not an end, of what was reset",
    ({ connection: one }, { connection: other }) =>
      Effect.gen(function* () {
        const theirs = hearing(other)
        hearing(one)
        one.flow.write(Buffer.from("unfinished"))
        yield* waitUntil("what came first", () => theirs.bytes().toString() === "unfinished")
        one.flow.reset()
        yield* waitUntil("the loss", () => theirs.lost() || theirs.ended())
        if (supportsReset) expect(theirs.ended()).toBe(false)
        yield* waitUntil("this side's own", one.flow.isResetByPeer)
      })
  )

  bothWays(
    "says when the peer does not keep up, and when it does again",
    ({ connection: one }, { connection: other }) =>
      Effect.gen(function* () {
        const [mine, theirs] = [hearing(one), hearing(other)]
        other.flow.pause()
        const total = 1.25 * (maxUnreadBytes + maxReadAheadBytes)
        const block = 16 * 1024
        let said = 0
        const speak = (flow: Flow) => {
          for (let room = true; room && said < total; said += block)
            room = flow.write(Buffer.alloc(block, said / block))
        }
        speak(one.flow)
        let drained = 0
        const spoken = waitUntil("it to be said", () => {
          if (mine.drained() > drained) {
            drained = mine.drained()
            speak(one.flow)
          }
          return said >= total
        })
        const all = yield* Effect.fork(spoken)
        expect(yield* settled(() => said)).toBeLessThan(total)
        other.flow.resume()
        yield* all
        yield* waitUntil("all of it", () => theirs.bytes().length === said)
        const came = theirs.bytes()
        for (let at = 0; at < said; at += block)
          expect([came[at], came[at + block - 1]]).toEqual(Array(2).fill((at / block) % 256))
      })
  )
}
