import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Effect from "effect/Effect"
import { quoted } from "../../bytes/excerpt.ts"
import type { CommandList } from "../arguments/CommandList.ts"
import { commandSpec, type CommandSpec } from "../arguments/CommandSpec.ts"
import { bashScript } from "../arguments/completions/bash.ts"
import { fishScript } from "../arguments/completions/fish.ts"
import { zshScript } from "../arguments/completions/zsh.ts"
import * as Operand from "../arguments/Operand.ts"
import { Report } from "../output/Report.ts"

const scripts: Readonly<Record<string, (list: CommandList) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript
}

/** `list` returns the list that contains this command. */
export const completions = (list: () => CommandList): CommandSpec =>
  commandSpec(
    {
      path: ["completions"],
      group: "Operate",
      summary: "print the completion script of a shell",
      examples: [
        ["sealwire completions bash > ~/.local/share/bash-completion/completions/sealwire", "bash"],
        ["sealwire completions zsh > ~/.zfunc/_sealwire", "zsh, with ~/.zfunc in fpath"],
        ["sealwire completions fish > ~/.config/fish/completions/sealwire.fish", "fish"]
      ],
      exits: [],
      loadsKey: false
    },
    {
      script: Operand.text("SHELL").pipe(
        Operand.withChoices(Object.keys(scripts)),
        Operand.mapEffect((shell) => {
          const script = Object.hasOwn(scripts, shell) ? scripts[shell] : undefined
          return script === undefined
            ? Effect.fail(
                HelpDoc.p(`${quoted(shell)} is not one of ${Object.keys(scripts).join(", ")}`)
              )
            : Effect.succeed(script)
        }),
        Operand.withDescription("Shell: bash, zsh or fish.")
      )
    },
    ({ script }) => Effect.flatMap(Report, (report) => report.printData(script(list())))
  )
