import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Dial from "../../programs/Dial.ts"
import { opening } from "../../programs/Service.ts"
import * as Transfer from "../../programs/Transfer.ts"
import { transferred } from "../../programs/transfer/Again.ts"
import * as Address from "../../transports/Address.ts"
import { Transport } from "../../transports/Transport.ts"
import { entry } from "../Entry.ts"
import { gathered } from "../pushed.ts"
import { retrying } from "../options.ts"
import * as Reach from "../Reach.ts"
import { Report } from "../Report.ts"
import * as transfer from "../transferOptions.ts"
import { TransferReport } from "../TransferReport.ts"
import { Event } from "../words/index.ts"

export const push = entry(
  ["push"],
  "send files and folders; done when the server has them on its disk",
  [
    ["sealwire push ./report.pdf ./photos --to server.example:8080", "a file and a folder, with what is in it"],
    ["sealwire push ./photos --to :8080 --dry-run", "what would travel, and what is there already"],
    ["sealwire push ./disk.img --to :8080 --retry 1d --limit 10M", "through restarts and lost connections; slowly"],
    ["pg_dump shop | sealwire push - --as shop.sql --to :8080", "standard input, as a file"]
  ],
  {
    paths: Args.text({ name: "PATH" }).pipe(
      Args.atLeast(1),
      Args.withDescription("Files and folders; - is standard input, which is gathered in a temporary file first.")
    ),
    as: Options.text("as").pipe(
      Options.withPseudoName("NAME"),
      Options.optional,
      Options.withDescription("The name that standard input gets there, or a single file or folder.")
    ),
    ...Reach.options,
    ...transfer.options
  },
  ({ paths, as, dryRun, overwrite, rename, skip, symlinks, limit, retry, padding, json, ...given }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const tell = (event: Event) => report.tell(event, { json, wire: false, exact: false })
      const policy = yield* transfer.policyOf({ overwrite, rename, skip })
      const { items, leftOut } = yield* gathered(paths, Option.getOrUndefined(as), symlinks)
      const reachable = yield* Reach.prepare(given)
      const address = Address.format(given.to)
      const shown = new TransferReport(tell, { dry: dryRun, json })
      yield* Effect.forEach(leftOut, (one) => shown.leftOut(one), { discard: true })
      const entries = items.map((item) => item.entry)
      const pace = transfer.paceOf(limit)
      const session = Reach.reach(
        reachable,
        tell,
        (how) => Dial.dial({ ...how, padding }, opening("file")),
        (channel) =>
          Effect.gen(function* () {
            yield* channel.ready
            yield* shown.watched.known(entries)
            yield* Transfer.push(channel, { items, policy, dry: dryRun, progress: shown.watched, pace })
            yield* shown.notBusy
          })
      )
      yield* transferred(session, retrying(retry), shown, ({ message }, millis) =>
        tell(Event.TransferRetrying({ address, reason: message, millis }))
      ).pipe(json || dryRun ? (effect) => effect : report.whileShown(shown.progress))
      yield* shown.conclude("pushed", address)
    }).pipe(Effect.scoped, Effect.provide(Transport.layerNet))
)
