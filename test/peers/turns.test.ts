// A long peers file is parsed and put in force in turns of the event loop, with the same result.
import { randomBytes } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as FastCheck from "effect/FastCheck"
import { inTurns, itemsPerTurn } from "../../src/peers/inTurns.ts"
import * as OptionSpec from "../../src/peers/OptionSpec.ts"
import { PeerList } from "../../src/peers/PeerList.ts"
import {
  formatAuthorized,
  parseAuthorized,
  parseAuthorizedInTurns,
  type AuthorizedPeer
} from "../../src/peers/Peers.ts"
import { RefusedByRules, PeerSessions } from "../../src/services/PeerSessions.ts"
import { nextTurn } from "../../src/testing/steps.ts"
import { runs } from "../fixtures/sample.ts"
import { Turns } from "../fixtures/Turns.ts"
import { rulesOf } from "./rulesOf.ts"

const size = 4 * itemsPerTurn + 7
const here = "127.0.0.1:5000"
const keys = Array.from({ length: size }, () => randomBytes(32))
const peerOf = (publicKey: Uint8Array, index: number): AuthorizedPeer => ({
  publicKey,
  name: `peer-${index}`,
  rules: rulesOf(),
  line: index + 1
})

/** An option that counts the lines that have it. */
const counted = (turns: Turns): OptionSpec.OptionSpec<true> => ({
  ...OptionSpec.flag({ name: "counted", summary: "" }),
  decode: () => {
    turns.handle()
    return Either.right(true)
  }
})

const expectTurns = (turns: Turns) => {
  expect(turns.total).toBeGreaterThanOrEqual(size)
  expect(turns.most).toBeLessThanOrEqual(itemsPerTurn)
}

describe("a long list", () => {
  it.live("is parsed in turns", () =>
    Effect.gen(function* () {
      const turns = new Turns()
      const text = keys
        .map((key, index) => `${formatAuthorized(key, `peer-${index}`, "counted")}\n`)
        .join("")
      const peers = yield* parseAuthorizedInTurns([counted(turns)], "authorized_peers", text)
      expect(peers.length).toBe(size)
      expectTurns(turns)
    })
  )

  it.live("is indexed in turns", () =>
    Effect.gen(function* () {
      const turns = new Turns()
      const peers = keys.map((key, index) => ({
        ...peerOf(key, index),
        get publicKey() {
          turns.handle()
          return key
        }
      }))
      const list = yield* PeerList.inTurns(peers)
      expectTurns(turns)
      expect(list.find(keys[size - 1] as Buffer)?.name).toBe(`peer-${size - 1}`)
      expect([list.hasName(`peer-${size - 1}`), list.hasName("peer-")]).toEqual([true, false])
    })
  )

  it.live("ends sessions in turns, and is in force for new ones at once", () =>
    Effect.gen(function* () {
      const turns = new Turns()
      const peers = yield* PeerSessions.make(new PeerList(keys.map(peerOf)))
      const cuts = new Set<number>()
      const sessions = keys.map((key, index) => {
        const session = peers.open(key, here, "message", () => {
          turns.handle()
          cuts.add(index)
        })
        if (session instanceof RefusedByRules) throw session
        return session
      })
      // Its turn is the last.
      const closed = size - 1
      const ending = yield* Effect.fork(peers.replaceInTurns(new PeerList([])))
      yield* nextTurn
      expect(cuts.size).toBeLessThan(size - 1)
      expect(peers.open(keys[0] as Buffer, here, "message", () => {})).toBeInstanceOf(
        RefusedByRules
      )
      sessions[closed]?.close()
      expect(yield* Fiber.join(ending)).toBe(size - 1)
      expect(cuts.has(closed)).toBe(false)
      expect(turns.total).toBe(size - 1)
      expect(turns.most).toBeLessThanOrEqual(itemsPerTurn)
    })
  )
})

describe("the result of the turns", () => {
  const line = FastCheck.oneof(
    FastCheck.constantFrom("", "# comment", "revoked", "wrong=", "no-key name"),
    FastCheck.nat(8).map((index) => formatAuthorized(keys[index] as Buffer, `peer-${index}`))
  )

  it.live.prop(
    "is that of parsing at once, the fault of a line included",
    { lines: FastCheck.array(line, { maxLength: 12 }), blank: FastCheck.nat(2 * itemsPerTurn) },
    ({ lines, blank }) =>
      Effect.gen(function* () {
        const text = "\r\n".repeat(blank) + lines.join("\n")
        const [atOnce, turned] = [
          parseAuthorized([])("file", text),
          yield* Effect.either(parseAuthorizedInTurns([], "file", text))
        ]
        expect(turned).toEqual(atOnce)
      }),
    { fastCheck: { numRuns: runs(50, 500) } }
  )

  it.live("is not awaited after an interruption, and no step follows", () =>
    Effect.gen(function* () {
      let steps = 0
      const endless = inTurns(function* () {
        for (;;) yield void steps++
      })
      const fiber = yield* Effect.fork(endless)
      yield* nextTurn
      yield* Fiber.interrupt(fiber)
      const before = steps
      yield* nextTurn
      yield* nextTurn
      expect(before).toBeGreaterThan(0)
      expect(steps).toBe(before)
    })
  )
})
