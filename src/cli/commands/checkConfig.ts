import * as Args from "@effect/cli/Args"
import * as Effect from "effect/Effect"
import { entry } from "../Entry.ts"
import * as options from "../options.ts"
import { Report } from "../Report.ts"
import { Event } from "../words.ts"

export const checkConfig = entry(
  ["check-config"],
  "say whether a configuration file would do, and do nothing",
  [["sealwire check-config ./sealwire.toml", "exit code 0, or the line that is wrong"]],
  {
    file: Args.text({ name: "FILE" }).pipe(Args.withDescription("What serve --config FILE would be given.")),
    json: options.json
  },
  ({ file, json }) =>
    Effect.gen(function* () {
      const report = yield* Report
      // Loaded here: it knows every command, this one too.
      const { check } = yield* Effect.promise(() => import("../check.ts"))
      const options = yield* check(["serve", `--config=${file}`])
      yield* report.tell(Event.ConfigFine({ file, options }), { json, wire: false, exact: false })
    })
)
