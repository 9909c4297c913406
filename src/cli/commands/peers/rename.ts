import { shown } from "../../../bytes/excerpt.ts"
import * as Operand from "../../arguments/Operand.ts"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as PeerEdits from "../../../peers/PeerEdits.ts"
import * as PeerFiles from "../../../peers/PeerFiles.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as PeersFile from "../../connection/PeersFile.ts"
import { Report } from "../../output/Report.ts"
import { Event } from "../../output/events/index.ts"

export const peersRename = commandSpec(
  {
    path: ["peers", "rename"],
    group: "Keys and peers",
    summary: "rename a peer on all its lines",
    examples: [
      ["sealwire peers rename alice alice-laptop", "alice's keys now belong to alice-laptop"]
    ],
    loadsKey: false
  },
  {
    ...PeersFile.options,
    from: Operand.text("OLD").pipe(
      Operand.withDescription("Current name, or one key of the peer.")
    ),
    to: Operand.text("NEW").pipe(Operand.withDescription("New name, which no peer may have."))
  },
  ({ json, from, to, ...which }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const file = PeersFile.fileOf(which)
      yield* PeersFile.checkName(to)
      type Renamed = Either.Either<
        PeerFiles.Change<ReadonlyArray<PeersFile.PeerEntry>>,
        PeersFile.PeerUnknown | PeersFile.PeersUnchanged
      >
      const renamed = yield* PeerFiles.edit(file.path, file.parse, (text, peers): Renamed => {
        const taken = peers.find(({ name }) => name === to)
        if (taken !== undefined)
          return Either.left(
            new PeersFile.PeersUnchanged({
              detail: `${shown(file.path)}:${taken.line} already has the name ${to}`
            })
          )
        return Either.map(PeersFile.select(file, peers, from), (found) => {
          const lines = found.map(({ line }) => line)
          return { text: PeerEdits.rename(text, lines, to), result: found }
        })
      })
      yield* report.emit(
        Event.PeerRenamed({
          file: file.path,
          from: renamed[0]?.name ?? from,
          to,
          keys: renamed.length
        }),
        PeersFile.outputMode(json)
      )
    })
)
