import { randomBytes } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { formatAuthorized } from "../../../../src/peers/Peers.ts"
import { ruleOptions } from "../../../../src/services/builtin/index.ts"
import * as PeerReload from "../../../../src/services/PeerReload.ts"
import { RefusedByRules } from "../../../../src/services/PeerSessions.ts"
import type { Contestant, Row } from "../../Row.ts"
import { longestTurn, threadTime } from "../../turns.ts"

const lookUps = 100_000
const mostSessions = 1000
const from = "10.1.2.3:4567"

/** A server with a file of so many lines, which it reads again while sessions are open. */
const file = (peers: number): Contestant => ({
  name: `${peers} peers`,
  measure: async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "sealwire-peers-"))
    try {
      const keys = Array.from({ length: peers }, () => randomBytes(32))
      const at = path.join(folder, "authorized_peers")
      const lines = keys.map((key, index) => `${formatAuthorized(key, `peer-${index}`)}\n`)
      writeFileSync(at, lines.join(""), { mode: 0o600 })
      return await Effect.runPromise(Effect.scoped(reload(at, keys)))
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }
})

const reload = (file: string, keys: ReadonlyArray<Buffer>) =>
  Effect.gen(function* () {
    const requests = yield* Queue.unbounded<void>()
    const events = yield* Queue.unbounded<PeerReload.ReloadEvent>()
    const peers = yield* PeerReload.follow(file, ruleOptions(), {
      reload: Stream.fromQueue(requests),
      on: (event) => Queue.offer(events, event)
    })
    for (const key of keys.slice(0, mostSessions)) {
      const session = peers.open(key, from, "message", () => {})
      if (session instanceof RefusedByRules) throw session
    }
    const before = threadTime()
    for (let count = 0; count < lookUps; count++)
      peers.authorize(keys[(count * 7919) % keys.length] as Buffer, from)
    const lookUp = ((threadTime() - before) * 1000) / lookUps
    const turns = longestTurn()
    yield* Queue.offer(requests, undefined)
    yield* Queue.take(events)
    const { cpu, longest } = turns.stop()
    return [(cpu * 1000) / keys.length, lookUp, longest]
  })

/** The cost of one peer, by the number of lines of authorized_peers. */
export const peers: Row = {
  figures: [
    { name: "growth: peers, CPU of a reload for each line", unit: "us", better: "lower" },
    { name: "growth: peers, one looked up in a handshake", unit: "us", better: "lower" },
    { name: "growth: peers, longest block of a reload", unit: "ms", better: "lower" }
  ],
  rounds: 3,
  isGrowth: true,
  contestants: [1000, 100, 10_000, 100_000].map(file)
}
