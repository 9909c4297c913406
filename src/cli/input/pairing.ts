// The prompts of pairing: the code that the other side shows, and a name for the other side.
import type * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Code from "../../bytes/Code.ts"
import * as Utf8 from "../../bytes/Utf8.ts"
import type { Secret } from "../../bytes/Secret.ts"
import * as Descriptor from "../../keys/Descriptor.ts"
import { limits } from "../../services/pairing/Pairing.ts"
import { isPiped } from "./standardInput.ts"
import type { PeerLookup } from "../connection/PairedPeer.ts"
import * as PeersFile from "../connection/PeersFile.ts"
import * as options from "../arguments/options.ts"
import { Streams } from "../Streams.ts"
import * as prompt from "./prompt.ts"

/** The name for the other side's key; undefined to decline. A key that has a name keeps it. */
export const chooseName = (
  lookup: PeerLookup,
  suggestion: string,
  given: string | undefined,
  yes: boolean
): Effect.Effect<string | undefined, PeersFile.PeersUnchanged> =>
  Effect.gen(function* () {
    const offer = lookup.knownName ?? lookup.uniqueName(suggestion)
    if (given !== undefined || yes) {
      const name = lookup.knownName ?? given ?? offer
      const problem = lookup.nameProblem(name)
      return problem === undefined
        ? name
        : yield* new PeersFile.PeersUnchanged({ detail: `${problem}; choose another name` })
    }
    for (;;) {
      const answer = yield* prompt.ask(
        lookup.knownName === undefined
          ? `name for it [${offer}], or - to decline: `
          : `known as ${offer}; press Enter to confirm, or - to decline: `
      )
      if (answer === undefined || answer === "-") return undefined
      const name = answer === "" ? offer : answer
      const problem =
        lookup.knownName === undefined || name === lookup.knownName
          ? lookup.nameProblem(name)
          : `it is already known as ${lookup.knownName}; use sealwire peers rename to change that`
      if (problem === undefined) return name
      yield* Effect.logWarning(problem)
    }
  })

/**
 * The number of attempts to type a code. A typing error sends nothing and leaves the code valid.
 */
const maxAttempts = 5

const malformedCode =
  "not a valid code: a character is missing or wrong. The code is still valid; check it and try again"

/** The maximum length of the input for a code, in bytes. */
const maxBytes = 1024

/** Reads the code from the descriptor, else from the terminal, else from piped input. */
export const askCode = (
  descriptor: Option.Option<number>
): Effect.Effect<Secret, ValidationError.ValidationError> =>
  Effect.gen(function* () {
    if (Option.isNone(descriptor) && (yield* prompt.isAvailable)) {
      for (let count = 0; count < maxAttempts; count++) {
        const answer = yield* prompt.ask("code shown by the other side: ")
        if (answer === undefined) break
        const code = Code.decode(answer)
        if (code !== undefined) return code
        yield* Effect.logWarning(malformedCode)
      }
      return yield* options.usageError("no code was entered")
    }
    if (Option.isNone(descriptor) && !(yield* isPiped))
      return yield* options.usageError(
        "no terminal to ask for the code; pipe it in, or use --code-fd"
      )
    const { descriptors } = yield* Streams
    const number = Option.getOrElse(descriptor, () => descriptors.stdin)
    const reading = {
      maxBytes: maxBytes,
      isComplete: (bytes: Uint8Array) => bytes.includes(0x0a),
      deadline: limits.codeDeadline
    }
    const bytes = yield* Effect.catchAll(Descriptor.read(number, reading), (clause) =>
      options.usageError(`no code: file descriptor ${number} ${clause}`)
    )
    return (
      Code.decode(Utf8.decode(bytes)?.split("\n", 1)[0] ?? "") ??
      (yield* options.usageError(malformedCode))
    )
  })
