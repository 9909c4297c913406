import * as Effect from "effect/Effect"
import * as PeerEdits from "../../../peers/PeerEdits.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as PeersFile from "../../connection/PeersFile.ts"
import { Report } from "../../output/Report.ts"
import { Event } from "../../output/events/index.ts"

export const peersRemove = commandSpec(
  {
    path: ["peers", "remove"],
    group: "Keys and peers",
    summary: "remove a peer with all its keys, or one key",
    examples: [
      ["sealwire peers remove alice", "removes every line of alice"],
      ["sealwire peers remove sealwire1…", "removes only this key"]
    ],
    loadsKey: false
  },
  { ...PeersFile.options, selector: PeersFile.selectorArgument },
  ({ json, selector, ...which }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const file = PeersFile.fileOf(which)
      const peers = yield* PeersFile.change(file, selector, PeerEdits.remove)
      yield* report.emit(Event.PeersRemoved({ file: file.path, peers }), PeersFile.outputMode(json))
    })
)
