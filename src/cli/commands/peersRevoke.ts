import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as PeerEdits from "../../keys/PeerEdits.ts"
import * as PeerFiles from "../../keys/PeerFiles.ts"
import { entry } from "../Entry.ts"
import * as PeersFile from "../PeersFile.ts"
import { Report } from "../Report.ts"
import { Event } from "../words.ts"

export const peersRevoke = entry(
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
      const peers = yield* PeerFiles.edit(file.path, file.parse, (text, peers) =>
        Either.map(PeersFile.select(file, peers, wanted), (found) => {
          const valid = found.filter(({ revoked }) => !revoked)
          return {
            text: PeerEdits.revoke(
              text,
              valid.map(({ line }) => line)
            ),
            result: valid
          }
        })
      )
      yield* report.tell(Event.PeersRevoked({ file: file.path, peers }), PeersFile.manner(json))
    })
)
