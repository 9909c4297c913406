import { shown } from "../../../bytes/excerpt.ts"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Printable from "../../../bytes/Printable.ts"
import * as PublicKey from "../../../keys/PublicKey.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as PeersFile from "../../connection/PeersFile.ts"
import { Report } from "../../output/Report.ts"
import { jsonRecord } from "../../output/events/index.ts"

export const peersList = commandSpec(
  {
    path: ["peers", "list"],
    group: "Keys and peers",
    summary: "list authorized client keys, or pinned server keys with --known",
    examples: [
      ["sealwire peers list", "name, fingerprint, state and rules of each authorized key"],
      ["sealwire peers list --known --json", "the pinned servers, one JSON object per key"]
    ],
    loadsKey: false
  },
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
      if (lines.length > 0) yield* report.printData(lines.join("\n"))
      else yield* Effect.logInfo(`${shown(file.path)} lists no peers`)
    })
)

const columnsOf = (peer: PeersFile.PeerEntry, now: number): ReadonlyArray<string> => [
  peer.name,
  ...(peer.address === undefined ? [] : [shown(peer.address)]),
  PublicKey.fingerprint(peer.publicKey),
  PeersFile.stateOf(peer, now),
  // The state column shows these options.
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
