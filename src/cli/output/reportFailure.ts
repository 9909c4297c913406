import type { Writable } from "node:stream"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Cause from "effect/Cause"
import { exitCode, exitCodeOf, signalCodes } from "./ExitCode.ts"
import { beforeDashes } from "../arguments/CommandList.ts"
import type { CommandSpec } from "../arguments/CommandSpec.ts"
import type { Redaction } from "./Redaction.ts"
import { orWorkingFolderGone } from "../input/workingFolder.ts"
import { hintFor } from "./hints.ts"
import { formatFailure, errorMessage, stripColour, type OutputFailed } from "./Report.ts"

/** Writes the error that ended the command, in one line, and returns the exit code. */
export const reportFailure = (
  cause: Cause.Cause<unknown>,
  args: ReadonlyArray<string>,
  command: CommandSpec | undefined,
  stderr: Writable,
  redaction: Redaction
): number => {
  const fail = (code: string, text: string, exit: number): number => {
    const isJson = beforeDashes(args).includes("--json")
    stderr.write(`${formatFailure(code, withWarning(text, exit), exit, isJson, redaction)}\n`)
    return exit
  }
  // Errors of the command line: a mistake there is no secret any more.
  const withWarning = (text: string, exit: number): string =>
    redaction.hasArgument &&
    (exit === exitCode.usage || exit === exitCode.key) &&
    !text.includes("exposed")
      ? `${text}; ${exposed}`
      : text
  const error = orWorkingFolderGone(Cause.squash(cause))
  if (ValidationError.isValidationError(error))
    return fail("Usage", usage(error, command), exitCode.usage)
  const tag = (error as { readonly _tag?: string } | undefined)?._tag ?? ""
  // A tool whose reader closes the pipe, such as `head`, ends without a message.
  if (tag === "OutputFailed" && (error as OutputFailed).code === "EPIPE") return signalCodes.SIGPIPE
  const exit = exitCodeOf(error)
  return exit === undefined
    ? fail("Bug", `internal error, please report this bug: ${errorMessage(error)}`, exitCode.bug)
    : fail(tag, withHint(errorMessage(error), hintFor(error)), exit)
}

const exposed =
  "an argument may be a key, and other users can see arguments: if it is one, treat it as exposed and create a new one"

const withHint = (text: string, hint: string | undefined): string =>
  hint === undefined ? text : `${text}; ${hint}`

const usage = (
  error: ValidationError.ValidationError,
  command: CommandSpec | undefined
): string => {
  const text = stripColour(HelpDoc.toAnsiText(error.error))
    .trim()
    .replace(/^Expected to find option: '(.*)'$|^Missing argument (.*)$/, "$1$2 is missing")
  // The shell split an unquoted text.
  const quotes = text.includes("unknown argument")
    ? " (quote a text of several words, and put options before --)"
    : ""
  return `${text}${quotes}; see: sealwire ${command === undefined ? "" : `${command.path.join(" ")} `}--help`
}
