import { quoted } from "../../bytes/excerpt.ts"
import * as Operand from "../arguments/Operand.ts"
import * as Flag from "../arguments/Flag.ts"
import * as Effect from "effect/Effect"
import { commandSpec, type CommandSpec } from "../arguments/CommandSpec.ts"
import { dryRun } from "../arguments/dryRun.ts"
import * as options from "../arguments/options.ts"
import { Report } from "../output/Report.ts"
import { Event } from "../output/events/index.ts"

/** `commands` are those with `--config`, the default first. */
export const checkConfig = (commands: readonly [CommandSpec, ...ReadonlyArray<CommandSpec>]) => {
  const names = commands.map(({ path }) => path.join(" "))
  return commandSpec(
    {
      path: ["check-config"],
      group: "Operate",
      summary: "validate a configuration file",
      examples: [
        ["sealwire check-config ./sealwire.toml", "exit code 0, or the line that is wrong"],
        ["sealwire check-config ./tunnels.toml --for tunnel", "a file for sealwire tunnel --config"]
      ],
      loadsKey: false
    },
    {
      file: Operand.text("FILE").pipe(
        Operand.completing("file"),
        Operand.withDescription("The configuration file, as for --config.")
      ),
      command: Flag.text("for").pipe(
        Flag.withChoices(names),
        Flag.withValue("COMMAND"),
        Flag.withDefault(names[0] ?? ""),
        Flag.mapEffect((text) =>
          names.includes(text)
            ? Effect.succeed(text)
            : options.optionError(
                "for",
                `${quoted(text)} takes no configuration file; ${names.join(" and ")} do`
              )
        ),
        Flag.withDescription(`The command that the file is for: ${names.join(" or ")}.`)
      ),
      json: options.json
    },
    ({ file, command, json }) =>
      Effect.gen(function* () {
        const report = yield* Report
        const count = yield* dryRun({ commands, shown: commands, groups: {} }, [
          command,
          `--config=${file}`
        ])
        yield* report.emit(Event.ConfigValid({ file, options: count }), {
          json,
          wire: false,
          exact: false
        })
      })
  )
}
