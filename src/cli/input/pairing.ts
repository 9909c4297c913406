// What the person is asked while two machines are paired: the code that the other side shows, and the name it is to have here.
import type * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Code from "../../bytes/Code.ts"
import * as Printable from "../../bytes/Printable.ts"
import type { Secret } from "../../bytes/Secret.ts"
import * as Descriptor from "../../keys/Descriptor.ts"
import { limits } from "../../services/pairing/Pairing.ts"
import { isPiped } from "./standardInput.ts"
import type { Place } from "../connection/PairedPeer.ts"
import * as PeersFile from "../commands/peers/PeersFile.ts"
import * as options from "../arguments/options.ts"
import * as prompt from "./prompt.ts"

/** The name that the partner is to have here; undefined to decline. A key that has one keeps it. */
export const chooseName = (
  place: Place,
  suggestion: string,
  given: string | undefined,
  yes: boolean
): Effect.Effect<string | undefined, PeersFile.PeersUnchanged> =>
  Effect.gen(function* () {
    const offer = place.known ?? place.free(suggestion)
    if (given !== undefined || yes) {
      const name = place.known ?? given ?? offer
      const against = place.against(name)
      return against === undefined
        ? name
        : yield* new PeersFile.PeersUnchanged({ detail: `${against}; choose another name` })
    }
    for (;;) {
      const answer = yield* prompt.ask(
        place.known === undefined
          ? `its name here [${offer}], or - to decline: `
          : `it is known here as ${offer}; Enter to confirm, or - to decline: `
      )
      if (answer === undefined || answer === "-") return undefined
      const name = answer === "" ? offer : answer
      const against =
        place.known === undefined || name === place.known
          ? place.against(name)
          : `it is ${place.known} here already, and sealwire peers rename changes that`
      if (against === undefined) return name
      yield* Effect.logWarning(against)
    }
  })

/** How often a slip of the finger may be told: nothing has been sent, and the code is as good as before. */
const mostSlips = 5

const slip =
  "this is not a code as sealwire pair shows it: a character is missing or wrong. It can still be used: look again"

/** The most that is read for a code, in bytes. */
const mostBytes = 1024

/** From the descriptor, else from the person, else piped in. */
export const askCode = (
  descriptor: Option.Option<number>
): Effect.Effect<Secret, ValidationError.ValidationError> =>
  Effect.gen(function* () {
    if (Option.isNone(descriptor) && prompt.isAvailable()) {
      for (let count = 0; count < mostSlips; count++) {
        const answer = yield* prompt.ask("the code that the other side shows: ")
        if (answer === undefined) break
        const code = Code.decode(answer)
        if (code !== undefined) return code
        yield* Effect.logWarning(slip)
      }
      return yield* options.usageError("no code was typed")
    }
    if (Option.isNone(descriptor) && !isPiped())
      return yield* options.usageError(
        "there is nobody to ask for the code; pipe it in, or use --code-fd"
      )
    const number = Option.getOrElse(descriptor, () => 0)
    const reading = {
      maxBytes: mostBytes,
      isComplete: (bytes: Uint8Array) => bytes.includes(0x0a),
      deadline: limits.codeDeadline
    }
    const bytes = yield* Effect.catchAll(Descriptor.read(number, reading), (clause) =>
      options.usageError(`no code: file descriptor ${number} ${clause}`)
    )
    return (
      Code.decode(Printable.text(bytes)?.split("\n", 1)[0] ?? "") ??
      (yield* options.usageError(slip))
    )
  })
