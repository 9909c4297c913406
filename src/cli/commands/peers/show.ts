import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Printable from "../../../bytes/Printable.ts"
import * as PublicKey from "../../../keys/PublicKey.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as PeersFile from "./PeersFile.ts"
import { Report } from "../../output/Report.ts"
import { jsonRecord } from "../../output/events/index.ts"

export const peersShow = commandSpec(
  ["peers", "show"],
  "show everything about a peer: its keys, and their rules one a line",
  [["sealwire peers show alice", "all keys of alice in authorized_peers"]],
  { ...PeersFile.options, wanted: PeersFile.selector },
  ({ json, wanted, ...which }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const file = PeersFile.fileOf(which)
      const found = yield* PeersFile.select(file, yield* PeersFile.read(file), wanted)
      const now = yield* Clock.currentTimeMillis
      const shown = found.map((peer) =>
        json
          ? jsonRecord("peer", PeersFile.fieldsOf(file, peer, now))
          : paragraphOf(file, peer, now)
      )
      yield* report.print(shown.join(json ? "\n" : "\n\n"))
    })
)

const paragraphOf = (file: PeersFile.PeersFile, peer: PeersFile.Listed, now: number): string => {
  const rows: ReadonlyArray<readonly [what: string, texts: ReadonlyArray<string>]> = [
    ["address", peer.address === undefined ? [] : [peer.address]],
    ["key", [PublicKey.encode(peer.publicKey)]],
    ["fingerprint", [PublicKey.fingerprint(peer.publicKey)]],
    ["state", [PeersFile.stateOf(peer, now)]],
    ["options", peer.options],
    ["line", [`${file.path}:${peer.line}`]]
  ]
  const lines = rows.flatMap(([what, texts]) =>
    texts.map((text, index) => `  ${(index === 0 ? what : "").padEnd(11)}  ${Printable.line(text)}`)
  )
  return [peer.name, ...lines].join("\n")
}
