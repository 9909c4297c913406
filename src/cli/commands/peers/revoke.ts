import * as Effect from "effect/Effect"
import * as PeerEdits from "../../../peers/PeerEdits.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as PeersFile from "./PeersFile.ts"
import { Report } from "../../output/Report.ts"
import { Event } from "../../output/events/index.ts"

export const peersRevoke = commandSpec(
  ["peers", "revoke"],
  "never let a key in again; its line stays, so that it is not added back",
  [
    ["sealwire peers revoke alice", "every key of alice"],
    ["sealwire peers revoke sealwire1…", "this key alone"]
  ],
  { ...PeersFile.options, wanted: PeersFile.selector },
  ({ json, wanted, ...which }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const file = PeersFile.fileOf(which)
      const peers = yield* PeersFile.change(
        file,
        wanted,
        PeerEdits.revoke,
        ({ revoked }) => !revoked
      )
      yield* report.emit(Event.PeersRevoked({ file: file.path, peers }), PeersFile.outputMode(json))
    })
)
