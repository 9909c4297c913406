import * as Operand from "../arguments/Operand.ts"
import * as Flag from "../arguments/Flag.ts"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as FileClient from "../../services/transfer/FileClient.ts"
import { Transport } from "../../transports/index.ts"
import { commandSpec } from "../arguments/CommandSpec.ts"
import { collectFiles } from "../input/collectFiles.ts"
import * as ServerFlags from "../connection/ServerFlags.ts"
import * as transfer from "../arguments/transferOptions.ts"
import { runTransfer } from "../connection/runTransfer.ts"

export const push = commandSpec(
  {
    path: ["push"],
    group: "Files",
    summary: "send files and folders to a server",
    about: "Exits when they are durable on the server.",
    examples: [
      [
        "sealwire push ./report.pdf ./photos --to server.example:8080",
        "a file, and a folder with its content"
      ],
      ["sealwire push ./photos --to :8080 --dry-run", "list what would be sent"],
      [
        "sealwire push ./disk.img --to :8080 --retry 1d --limit 10M",
        "retry for a day, at most 10 MiB a second"
      ],
      ["pg_dump shop | sealwire push - --as shop.sql --to :8080", "standard input as a file"]
    ]
  },
  {
    paths: Operand.text("PATH").pipe(
      Operand.completing("file"),
      Operand.some,
      Operand.withDescription(
        "Files and folders to send; - is standard input, buffered in a temporary file."
      )
    ),
    as: Flag.text("as").pipe(
      Flag.withValue("NAME"),
      Flag.optional,
      Flag.withDescription("Name on the server for standard input, or for a single file or folder.")
    ),
    ...ServerFlags.options,
    ...transfer.options
  },
  ({ paths, as, overwrite, rename, skip, symlinks, ...given }) =>
    Effect.gen(function* () {
      const policy = yield* transfer.conflictPolicy({ overwrite, rename, skip })
      const { sources, leftOut } = yield* collectFiles(paths, Option.getOrUndefined(as), symlinks)
      const entries = sources.map(({ entry }) => entry)
      yield* runTransfer(given, {
        verb: "pushed",
        policy,
        leftOut,
        session: (channel, common) =>
          Effect.gen(function* () {
            yield* channel.ready
            yield* common.progress.planned(entries)
            yield* FileClient.pushOver(channel, { sources, policy, ...common })
          })
      })
    }).pipe(Effect.scoped, Effect.provide(Transport.layerNet))
)
