import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Printable from "../../../bytes/Printable.ts"
import * as PublicKey from "../../../keys/PublicKey.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as PeersFile from "./PeersFile.ts"
import { Report } from "../../output/Report.ts"
import { jsonRecord } from "../../output/events/index.ts"

export const peersList = commandSpec(
  ["peers", "list"],
  "list the keys that may come in, or with --known the servers' keys",
  [
    ["sealwire peers list", "name, fingerprint, state and rules of each key in authorized_peers"],
    ["sealwire peers list --known --json", "the servers that this user knows, one object a key"]
  ],
  PeersFile.options,
  ({ json, ...which }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const file = PeersFile.fileOf(which)
      const peers = yield* PeersFile.read(file)
      const now = yield* Clock.currentTimeMillis
      const lines = json
        ? peers.map((peer) => jsonRecord("peer", PeersFile.fieldsOf(file, peer, now)))
        : aligned(peers.map((peer) => columnsOf(peer, now)))
      if (lines.length > 0) yield* report.print(lines.join("\n"))
      else yield* Effect.logInfo(`${file.path} lists nobody`)
    })
)

const columnsOf = (peer: PeersFile.Listed, now: number): ReadonlyArray<string> => [
  peer.name,
  ...(peer.address === undefined ? [] : [Printable.line(peer.address)]),
  PublicKey.fingerprint(peer.publicKey),
  PeersFile.stateOf(peer, now),
  // What the state says already is not said twice.
  Printable.line(
    peer.options.filter((option) => !/^(revoked$|expiry-time=|retiring=)/.test(option)).join(",")
  )
]

const aligned = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const widths: Array<number> = []
  for (const row of rows)
    for (const [index, { length }] of row.entries())
      widths[index] = Math.max(widths[index] ?? 0, length)
  return rows.map((row) =>
    row
      .map((text, index) => text.padEnd(widths[index] ?? 0))
      .join("  ")
      .trimEnd()
  )
}
