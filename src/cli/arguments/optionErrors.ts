// Usage errors: exit code 2, followed by a hint to the command's help.
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"

/** Options that are valid alone and conflict with each other or with a file. */
export class OptionsConflict extends Data.TaggedError("OptionsConflict")<{
  readonly detail: string
}> {
  override get message(): string {
    return this.detail
  }
}

/** Fails because of the command line as a whole. */
export const usageError = (detail: string) =>
  Effect.fail(ValidationError.invalidValue(HelpDoc.p(detail)))

/** Fails because of an option's value. Adds the option's name, which @effect/cli leaves out. */
export const optionError = (name: string, detail: string) => usageError(`--${name}: ${detail}`)
