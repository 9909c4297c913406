import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { shown } from "../../../bytes/excerpt.ts"
import * as Printable from "../../../bytes/Printable.ts"
import * as PublicKey from "../../../keys/PublicKey.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as PeersFile from "../../connection/PeersFile.ts"
import { Report } from "../../output/Report.ts"
import { jsonRecord } from "../../output/events/index.ts"

export const peersShow = commandSpec(
  {
    path: ["peers", "show"],
    group: "Keys and peers",
    summary: "show the keys of a peer with all their rules",
    examples: [["sealwire peers show alice", "all keys of alice in authorized_peers"]],
    loadsKey: false
  },
  { ...PeersFile.options, selector: PeersFile.selectorArgument },
  ({ json, selector, ...which }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const file = PeersFile.fileOf(which)
      const found = yield* PeersFile.select(file, yield* PeersFile.read(file), selector)
      const now = yield* Clock.currentTimeMillis
      const shown = found.map((peer) =>
        json
          ? jsonRecord("peer", PeersFile.fieldsOf(file, peer, now))
          : paragraphOf(file, peer, now)
      )
      yield* report.printData(shown.join(json ? "\n" : "\n\n"))
    })
)

const paragraphOf = (file: PeersFile.PeersFile, peer: PeersFile.PeerEntry, now: number): string => {
  const rows: ReadonlyArray<readonly [label: string, texts: ReadonlyArray<string>]> = [
    ["address", peer.address === undefined ? [] : [shown(peer.address)]],
    ["key", [PublicKey.encode(peer.publicKey)]],
    ["fingerprint", [PublicKey.fingerprint(peer.publicKey)]],
    ["state", [PeersFile.stateOf(peer, now)]],
    ["options", peer.options],
    ["line", [`${file.path}:${peer.line}`]]
  ]
  const lines = rows.flatMap(([label, texts]) =>
    texts.map(
      (text, index) => `  ${(index === 0 ? label : "").padEnd(11)}  ${Printable.line(text)}`
    )
  )
  return [peer.name, ...lines].join("\n")
}
