import * as Effect from "effect/Effect"
import * as PeerEdits from "../../../peers/PeerEdits.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as PeersFile from "./PeersFile.ts"
import { Report } from "../../output/Report.ts"
import { Event } from "../../output/events/index.ts"

export const peersRemove = commandSpec(
  ["peers", "remove"],
  "take a peer out, with all its keys, or one key",
  [
    ["sealwire peers remove alice", "takes out every line of alice"],
    ["sealwire peers remove sealwire1…", "takes out this key alone"]
  ],
  { ...PeersFile.options, wanted: PeersFile.selector },
  ({ json, wanted, ...which }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const file = PeersFile.fileOf(which)
      const peers = yield* PeersFile.change(file, wanted, PeerEdits.remove)
      yield* report.emit(Event.PeersRemoved({ file: file.path, peers }), PeersFile.outputMode(json))
    })
)
