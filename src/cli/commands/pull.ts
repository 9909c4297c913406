import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Dial from "../../programs/Dial.ts"
import { opening } from "../../programs/Service.ts"
import * as Transfer from "../../programs/Transfer.ts"
import { again } from "../../programs/transfer/Again.ts"
import * as Names from "../../programs/transfer/Names.ts"
import { SourceRefused } from "../../programs/transfer/TransferErrors.ts"
import * as Address from "../../transports/Address.ts"
import { Transport } from "../../transports/Transport.ts"
import { entry } from "../Entry.ts"
import * as options from "../options.ts"
import * as Reach from "../Reach.ts"
import { Report } from "../Report.ts"
import * as transfer from "../transferOptions.ts"
import { TransferReport } from "../TransferReport.ts"
import { Event } from "../words.ts"

export const pull = entry(
  ["pull"],
  "fetch files and folders; done when they are on this disk",
  [
    ["sealwire pull report.pdf photos/2026 --from server.example:8080", "a file and a folder, into this folder"],
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
      Options.withDescription("The folder here that gets them. Default: this one, but for everything (.) it is to be named.")
    ),
    ...Reach.options,
    to: options.address("from", "Where the server listens."),
    ...transfer.options
  },
  ({ names, into, dryRun, overwrite, rename, skip, symlinks, limit, retry, padding, json, ...given }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const tell = (event: Event) => report.tell(event, { json, wire: false, exact: false })
      const policy = yield* transfer.policyOf({ overwrite, rename, skip })
      const wanted: Array<string> = []
      for (const name of names) {
        const parsed = name === "." ? [] : Names.parse(name.replace(/^\.\//, "").replace(/\/+$/, ""))
        if (typeof parsed === "string") return yield* new SourceRefused({ path: name, detail: `cannot be asked for: ${parsed}` })
        wanted.push(parsed.join("/"))
      }
      if (wanted.includes("") && Option.isNone(into))
        return yield* options.misused(
          "which names come with . is for the server to say; name the folder that gets them: --into DIR"
        )
      const reachable = yield* Reach.prepare(given)
      const address = Address.format(given.to)
      const shown = new TransferReport(tell, {
        dry: dryRun,
        json,
        asked: wanted.map((name) => name.split("/").at(-1) ?? "")
      })
      const pace = transfer.paceOf(limit)
      const session = Reach.reach(
        reachable,
        tell,
        (how) => Dial.dial({ ...how, padding }, opening("file")),
        (channel) =>
          Effect.zipRight(
            Effect.scoped(
              Transfer.pull(channel, {
                names: wanted,
                into: Option.getOrElse(into, () => "."),
                policy,
                links: symlinks,
                dry: dryRun,
                progress: shown.watched,
                pace
              })
            ),
            shown.notBusy
          )
      )
      yield* again(session, {
        deadline: Option.getOrElse(retry, () => transfer.defaultRetry),
        fromTheFirst: Option.isSome(retry),
        come: shown.come,
        stood: shown.stood,
        onPause: ({ message }, millis) => tell(Event.TransferRetrying({ address, reason: message, millis }))
      }).pipe(
        Effect.mapError((error) =>
          error._tag === "TransferStopped" && error.reason === "none"
            ? new SourceRefused({ path: names.join(", "), detail: error.message })
            : error
        ),
        json || dryRun ? (effect) => effect : report.whileShown(shown.progress)
      )
      yield* shown.conclude("pulled", address)
    }).pipe(Effect.scoped, Effect.provide(Transport.layerNet))
)
