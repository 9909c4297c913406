import { randomBytes } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { PeerList } from "../../../src/peers/PeerList.ts"
import { formatAuthorized, parseAuthorized } from "../../../src/peers/Peers.ts"
import { ruleOptions } from "../../../src/services/builtin/index.ts"
import { RefusedByRules, PeerSessions } from "../../../src/services/PeerSessions.ts"
import type { Contestant, Row } from "../Row.ts"

const peers = 10_000
const sessions = 1000
const lookUps = 100_000
const from = "10.1.2.3:4567"

const keys = Array.from({ length: peers }, () => randomBytes(32))

/** A file with 10,000 lines: parsed, searched, and parsed again while sessions are open. */
const file = (name: string, options: string): Contestant => {
  const text = keys
    .map((key, index) => `${formatAuthorized(key, `peer-${index}`, options)}\n`)
    .join("")
  const parsed = () =>
    new PeerList(Either.getOrThrow(parseAuthorized(ruleOptions())("authorized_peers", text)))
  return {
    name,
    measure: async () => {
      const began = performance.now()
      const list = parsed()
      const read = performance.now() - began
      const peerSessions = await Effect.runPromise(PeerSessions.make(list))
      const opened = keys.slice(0, sessions).map((key) => {
        const session = peerSessions.open(key, from, "message", () => {})
        if (session instanceof RefusedByRules) throw session
        return session
      })
      const before = performance.now()
      for (let count = 0; count < lookUps; count++)
        peerSessions.authorize(keys[count % peers] as Buffer, from)
      const lookUp = ((performance.now() - before) * 1000) / lookUps
      const again = performance.now()
      peerSessions.replace(parsed())
      const reload = performance.now() - again
      for (const session of opened) session.close()
      return [read, lookUp, reload]
    }
  }
}

/** The cost of 10,000 peers at startup, in each handshake, and on a reload. */
export const peersRow: Row = {
  figures: [
    { name: "10,000 peers: the file read at start", unit: "ms", better: "lower" },
    { name: "10,000 peers: one looked up in a handshake", unit: "us", better: "lower" },
    { name: "10,000 peers: reload with 1,000 sessions", unit: "ms", better: "lower" }
  ],
  rounds: 7,
  warmUp: false,
  contestants: [
    file("public-key name", ""),
    file("with from and expiry-time", 'from="10.0.0.0/8,!10.9.0.0/16",expiry-time="2100-01-01"')
  ]
}
