// The option or command that resolves a library error. A library error names no command-line option;
// `reportFailure` appends the hint to its message.
import type { CommandError } from "../arguments/CommandError.ts"

type Hints = {
  readonly [Tag in CommandError["_tag"]]?:
    | string
    | ((error: Extract<CommandError, { readonly _tag: Tag }>) => string | undefined)
}

/** By the tag of the error; a function where only some errors of the tag have a hint. */
const hints: Hints = {
  ServerKeyChanged: "then connect with --accept-new",
  ServerUnknown: "name it with --peer sealwire1…, or trust the key it shows with --accept-new"
}

/** Returns the hint for an error, or undefined where it has none. */
export const hintFor = (error: unknown): string | undefined => {
  const { _tag = "" } = (error ?? {}) as { readonly _tag?: string }
  if (!Object.hasOwn(hints, _tag)) return undefined
  const hint = hints[_tag as keyof Hints]
  return typeof hint === "function" ? hint(error as never) : hint
}
