import * as HelpDoc from "@effect/cli/HelpDoc"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Cause from "effect/Cause"
import { exitCode, exitCodeOf, signalCodes } from "./ExitCode.ts"
import { beforeDashes } from "../arguments/CommandList.ts"
import type { CommandSpec } from "../arguments/CommandSpec.ts"
import { hintFor } from "./hints.ts"
import { formatFailure, errorMessage, stripColour, type OutputFailed } from "./Report.ts"

/** Says in one line on stderr what ended the command, and gives its exit code. */
export const reportFailure = (
  cause: Cause.Cause<unknown>,
  args: ReadonlyArray<string>,
  command: CommandSpec | undefined
): number => {
  const say = (code: string, text: string, exit: number): number => {
    process.stderr.write(
      `${formatFailure(code, text, exit, beforeDashes(args).includes("--json"))}\n`
    )
    return exit
  }
  const error = Cause.squash(cause)
  if (ValidationError.isValidationError(error))
    return say("Usage", usage(error, command), exitCode.usage)
  const tag = (error as { readonly _tag?: string } | undefined)?._tag ?? ""
  // As a shell tool that writes into `head`: no word about it.
  if (tag === "OutputFailed" && (error as OutputFailed).code === "EPIPE") return signalCodes.SIGPIPE
  const exit = exitCodeOf(error)
  return exit === undefined
    ? say(
        "Bug",
        `this is a bug in sealwire, please report it: ${errorMessage(error)}`,
        exitCode.bug
      )
    : say(tag, withHint(errorMessage(error), hintFor(error)), exit)
}

const withHint = (text: string, hint: string | undefined): string =>
  hint === undefined ? text : `${text}; ${hint}`

const usage = (
  error: ValidationError.ValidationError,
  command: CommandSpec | undefined
): string => {
  const text = stripColour(HelpDoc.toAnsiText(error.error))
    .trim()
    .replace(/^Expected to find option: '(.*)'$|^Missing argument (.*)$/, "$1$2 is missing")
  // What the shell made two words of.
  const quotes = text.includes("unknown argument")
    ? " (a text of several words goes in quotes, and options before --)"
    : ""
  return `${text}${quotes}; see: sealwire ${command === undefined ? "" : `${command.path.join(" ")} `}--help`
}
