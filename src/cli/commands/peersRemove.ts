import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as PeerEdits from "../../keys/PeerEdits.ts"
import * as PeerFiles from "../../keys/PeerFiles.ts"
import { entry } from "../Entry.ts"
import * as PeersFile from "../PeersFile.ts"
import { Report } from "../Report.ts"
import { Event } from "../words.ts"

export const peersRemove = entry(
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
      const peers = yield* PeerFiles.edit(file.path, file.parse, (text, peers) =>
        Either.map(PeersFile.select(file, peers, wanted), (found) => ({
          text: PeerEdits.remove(
            text,
            found.map(({ line }) => line)
          ),
          result: found
        }))
      )
      yield* report.tell(Event.PeersRemoved({ file: file.path, peers }), PeersFile.manner(json))
    })
)
