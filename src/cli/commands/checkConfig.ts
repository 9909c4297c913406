import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Printable from "../../bytes/Printable.ts"
import { commandSpec } from "../arguments/CommandSpec.ts"
import * as options from "../arguments/options.ts"
import { Report } from "../output/Report.ts"
import { Event } from "../output/events/index.ts"

export const checkConfig = commandSpec(
  ["check-config"],
  "say whether a configuration file would do, and do nothing",
  [
    ["sealwire check-config ./sealwire.toml", "exit code 0, or the line that is wrong"],
    ["sealwire check-config ./tunnels.toml --for tunnel", "of sealwire tunnel --config"]
  ],
  {
    file: Args.text({ name: "FILE" }).pipe(
      Args.withDescription("What a command would be given as --config FILE.")
    ),
    command: Options.text("for").pipe(
      Options.withPseudoName("COMMAND"),
      Options.withDefault("serve"),
      Options.mapEffect((text) =>
        text === "serve" || text === "tunnel"
          ? Effect.succeed(text)
          : options.refuse(
              "for",
              `"${Printable.line(text)}" takes no configuration file; serve and tunnel do`
            )
      ),
      Options.withDescription("Whose it is: serve (by default) or tunnel.")
    ),
    json: options.json
  },
  ({ file, command, json }) =>
    Effect.gen(function* () {
      const report = yield* Report
      // Loaded here: it knows every command, this one too.
      const { dryRun } = yield* Effect.promise(() => import("../arguments/dryRun.ts"))
      const count = yield* dryRun([command, `--config=${file}`])
      yield* report.tell(Event.ConfigFine({ file, options: count }), {
        json,
        wire: false,
        exact: false
      })
    })
)
