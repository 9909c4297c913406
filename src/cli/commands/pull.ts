import { resolve } from "node:path"
import * as Operand from "../arguments/Operand.ts"
import * as Flag from "../arguments/Flag.ts"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { shown } from "../../bytes/excerpt.ts"
import * as FileClient from "../../services/transfer/FileClient.ts"
import { SafePath } from "../../services/transfer/SafePath.ts"
import { SourceRefused } from "../../services/transfer/TransferErrors.ts"
import { Transport } from "../../transports/index.ts"
import { commandSpec } from "../arguments/CommandSpec.ts"
import * as options from "../arguments/options.ts"
import * as ServerFlags from "../connection/ServerFlags.ts"
import * as transfer from "../arguments/transferOptions.ts"
import { runTransfer } from "../connection/runTransfer.ts"

export const pull = commandSpec(
  {
    path: ["pull"],
    group: "Files",
    summary: "receive files and folders from a server",
    about: "Exits when they are durable on this disk.",
    examples: [
      [
        "sealwire pull report.pdf photos/2026 --from server.example:8080",
        "a file and a folder, into the current folder"
      ],
      ["sealwire pull . --from :8080 --into ./all", "everything that the server offers"],
      ["sealwire pull photos --from :8080 --dry-run", "list what would be received"]
    ]
  },
  {
    names: Operand.text("NAME").pipe(
      Operand.some,
      Operand.withDescription(
        "Files and folders to receive, as paths below the served folder; . is all of it."
      )
    ),
    into: Flag.text("into").pipe(
      Flag.completing("folder"),
      Flag.withValue("DIR"),
      Flag.optional,
      Flag.withDescription(
        "Folder that receives them; required for everything (.).",
        "the current one"
      )
    ),
    ...ServerFlags.options,
    to: options
      .address("from", "Address of the server.")
      .pipe(Flag.withGroup("Server and keys"), Flag.withGuesses("--to")),
    ...transfer.options
  },
  ({ names, into, overwrite, rename, skip, symlinks, ...given }) =>
    Effect.gen(function* () {
      const policy = yield* transfer.conflictPolicy({ overwrite, rename, skip })
      const paths: Array<SafePath> = []
      for (const name of names) {
        const path =
          name === "."
            ? SafePath.root
            : SafePath.parse(name.replace(/^\.\//, "").replace(/\/+$/, ""))
        if (typeof path === "string")
          return yield* new SourceRefused({ path: name, detail: `cannot be requested: ${path}` })
        const same = paths.find((other) => other.name === path.name && other.text !== path.text)
        if (same !== undefined && path.depth > 0)
          return yield* new SourceRefused({
            path: name,
            detail: `has the same name here as ${shown(same.text)}; pull each into its own folder: --into DIR`
          })
        paths.push(path)
      }
      if (paths.includes(SafePath.root) && Option.isNone(into))
        return yield* options.usageError(
          "the server chooses the names for .; give the folder that receives them: --into DIR"
        )
      const folder = Option.getOrElse(into, () => ".")
      // Throws before anything is requested if the working directory is gone.
      resolve(folder)
      const request = {
        paths,
        into: folder,
        policy,
        links: symlinks
      }
      yield* runTransfer(given, {
        verb: "pulled",
        policy,
        requested: paths.map((path) => path.name),
        session: (channel, common) =>
          Effect.mapError(FileClient.pullOver(channel, { ...request, ...common }), (error) =>
            error._tag === "TransferStopped" && error.reason === "notFound"
              ? new SourceRefused({ path: names.join(", "), detail: error.message })
              : error
          )
      })
    }).pipe(Effect.scoped, Effect.provide(Transport.layerNet))
)
