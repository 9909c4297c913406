// The option or command that resolves a library error. Library errors name no command-line option;
// `reportFailure` appends the hint to the message.
import { shown } from "../../bytes/excerpt.ts"
import { kinds } from "../../keys/KeyKind.ts"
import { nextStep } from "../../keys/Rotation.ts"
import type { CommandError } from "../arguments/CommandError.ts"

type Hints = {
  readonly [Tag in CommandError["_tag"]]?:
    | string
    | ((error: Extract<CommandError, { readonly _tag: Tag }>) => string | undefined)
}

/** By the tag of the error; a function where only some errors of the tag have a hint. */
const hints: Hints = {
  ServerKeyChanged: ({ where }) =>
    where === "given" ? "name it with --peer" : "then connect with --accept-new",
  ServerUnknown: "name it with --peer sealwire1…, or trust the key it shows with --accept-new",
  KeyFileMissing: ({ kind, path }) => keygen(kind, path),
  KeyUnavailable: ({ missing, reference }) =>
    missing === undefined ? undefined : keygen(missing, reference),
  KeyRejected: ({ reason, reference }) =>
    reason === "already protected" ? `try: sealwire keys unprotect ${shown(reference)}` : undefined,
  RotationOutOfTurn: ({ stage }) => `try: sealwire keys rotate --${nextStep[stage]}`,
  RotationFailed: "to see its stage: sealwire keys rotate",
  FileExists: "to replace it: --overwrite",
  FileUnwritable: ({ code }) =>
    code === "dangling" ? "to write to standard output: -o -" : undefined,
  OutboxElsewhere: ({ outbox }) => `its messages: sealwire inbox list --inbox ${shown(outbox)}`,
  MessageTooLong: ({ hint }) => (hint === undefined ? undefined : "use --any-length")
}

/** The command that creates a key of the named kind; undefined for a kind of no command. */
const keygen = (kindName: string, reference: string): string | undefined => {
  const kind = kinds.find(({ name }) => name === kindName)
  return kind === undefined ? undefined : `try: ${kind.keygen} -o ${shown(reference)}`
}

/** Returns the hint for an error, or undefined where it has none. */
export const hintFor = (error: unknown): string | undefined => {
  const { _tag = "" } = (error ?? {}) as { readonly _tag?: string }
  if (!Object.hasOwn(hints, _tag)) return undefined
  const hint = hints[_tag as keyof Hints]
  return typeof hint === "function" ? hint(error as never) : hint
}
