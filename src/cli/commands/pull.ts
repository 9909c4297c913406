import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as FileClient from "../../services/transfer/FileClient.ts"
import * as Names from "../../services/transfer/Names.ts"
import { SourceRefused } from "../../services/transfer/TransferErrors.ts"
import { Transport } from "../../transports/index.ts"
import { commandSpec } from "../arguments/CommandSpec.ts"
import * as options from "../arguments/options.ts"
import * as ServerConnection from "../connection/ServerConnection.ts"
import * as transfer from "../arguments/transferOptions.ts"
import { runTransfer } from "../connection/runTransfer.ts"

export const pull = commandSpec(
  ["pull"],
  "fetch files and folders; done when they are on this disk",
  [
    [
      "sealwire pull report.pdf photos/2026 --from server.example:8080",
      "a file and a folder, into this folder"
    ],
    ["sealwire pull . --from :8080 --into ./all", "everything that the server lets us have"],
    ["sealwire pull photos --from :8080 --dry-run", "what would travel, and what is here already"]
  ],
  {
    names: Args.text({ name: "NAME" }).pipe(
      Args.atLeast(1),
      Args.withDescription("Files and folders below the server's; . is all of it.")
    ),
    into: Options.text("into").pipe(
      Options.withPseudoName("DIR"),
      Options.optional,
      Options.withDescription(
        "The folder here that gets them. Default: this one, but for everything (.) it is to be named."
      )
    ),
    ...ServerConnection.options,
    to: options.address("from", "Where the server listens."),
    ...transfer.options
  },
  ({ names, into, overwrite, rename, skip, symlinks, ...given }) =>
    Effect.gen(function* () {
      const policy = yield* transfer.conflictPolicy({ overwrite, rename, skip })
      const wanted: Array<string> = []
      for (const name of names) {
        const parsed =
          name === "." ? [] : Names.parse(name.replace(/^\.\//, "").replace(/\/+$/, ""))
        if (typeof parsed === "string")
          return yield* new SourceRefused({ path: name, detail: `cannot be asked for: ${parsed}` })
        wanted.push(parsed.join("/"))
      }
      if (wanted.includes("") && Option.isNone(into))
        return yield* options.usageError(
          "which names come with . is for the server to say; name the folder that gets them: --into DIR"
        )
      const what = {
        names: wanted,
        into: Option.getOrElse(into, () => "."),
        policy,
        links: symlinks
      }
      yield* runTransfer(given, {
        verb: "pulled",
        asked: wanted.map((name) => name.split("/").at(-1) ?? ""),
        session: (channel, common) =>
          Effect.mapError(FileClient.pull(channel, { ...what, ...common }), (error) =>
            error._tag === "TransferStopped" && error.reason === "none"
              ? new SourceRefused({ path: names.join(", "), detail: error.message })
              : error
          )
      })
    }).pipe(Effect.scoped, Effect.provide(Transport.layerNet))
)
