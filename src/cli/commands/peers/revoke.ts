import * as Effect from "effect/Effect"
import * as PeerEdits from "../../../peers/PeerEdits.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as PeersFile from "../../connection/PeersFile.ts"
import { Report } from "../../output/Report.ts"
import { Event } from "../../output/events/index.ts"

export const peersRevoke = commandSpec(
  {
    path: ["peers", "revoke"],
    group: "Keys and peers",
    summary: "revoke keys permanently; the lines stay, so that the keys cannot be added again",
    examples: [
      ["sealwire peers revoke alice", "every key of alice"],
      ["sealwire peers revoke sealwire1…", "only this key"]
    ],
    loadsKey: false
  },
  { ...PeersFile.options, selector: PeersFile.selectorArgument },
  ({ json, selector, ...which }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const file = PeersFile.fileOf(which)
      const peers = yield* PeersFile.change(
        file,
        selector,
        PeerEdits.revoke,
        ({ revoked }) => !revoked
      )
      yield* report.emit(Event.PeersRevoked({ file: file.path, peers }), PeersFile.outputMode(json))
    })
)
