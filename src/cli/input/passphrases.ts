// The source of passphrases: --passphrase-fd, else the environment, else the terminal. Never an
// argument, which other users could see.
import { shown } from "../../bytes/excerpt.ts"
import * as Effect from "effect/Effect"
import type { Secret } from "../../bytes/Secret.ts"
import * as Utf8 from "../../bytes/Utf8.ts"
import * as Descriptor from "../../keys/Descriptor.ts"
import { KeyUnavailable, PassphraseRefused } from "../../keys/KeyErrors.ts"
import { limits } from "../../keys/limits.ts"
import { Passphrase } from "../../keys/Passphrase.ts"
import * as terminal from "./terminal.ts"

const variable = "SEALWIRE_PASSPHRASE"

/** Returns the source that is given, or one that fails with the ways to give a passphrase. */
export const passphraseSource = (
  descriptor: string | undefined,
  env: Record<string, string | undefined>
): Effect.Effect<Passphrase.Shape> =>
  Effect.suspend(() => {
    const text = env[variable] ?? ""
    // The programs of exec: keys must not inherit it.
    delete env[variable]
    if (descriptor !== undefined) return Effect.succeed(atDescriptor(Number(descriptor)))
    if (text !== "") return Effect.succeed(Passphrase.always(Passphrase.fromText(text)))
    return Effect.map(terminal.isAvailable, (isAvailable) => (isAvailable ? atTerminal : noSource))
  })

const sources = `give it with --passphrase-fd, in ${variable}, or on a terminal`

const noSource: Passphrase.Shape = {
  maxAttempts: 1,
  request: (reference) =>
    new KeyUnavailable({
      reference,
      reason: "it is protected by a passphrase",
      hint: sources
    }),
  requestNew: (reference) => new PassphraseRefused({ reference, detail: sources })
}

/** Reads the first line of the descriptor once, for all keys. */
const atDescriptor = (descriptor: number): Passphrase.Shape => {
  const read = Effect.runSync(
    Effect.cached(
      Effect.flatMap(
        Descriptor.read(descriptor, {
          maxBytes: limits.passphraseBytes,
          isComplete: (bytes) => bytes.includes(0x0a)
        }),
        (bytes): Effect.Effect<Secret, string> => {
          const line = bytes.includes(0x0a) ? bytes.subarray(0, bytes.indexOf(0x0a)) : bytes
          const text = Utf8.decode(line)?.replace(/\r$/, "")
          if (text === undefined) return Effect.fail("has a first line that is not valid UTF-8")
          if (text === "") return Effect.fail("has no passphrase as its first line")
          return line.length > limits.passphraseBytes
            ? Effect.fail(`has a first line of more than ${limits.passphraseBytes} bytes`)
            : Effect.succeed(Passphrase.fromText(text))
        }
      )
    )
  )
  const place = `file descriptor ${descriptor}`
  const hint = `open it where the command starts: ${descriptor}< FILE`
  return {
    maxAttempts: 1,
    request: (reference) =>
      Effect.mapError(
        read,
        (clause) =>
          new KeyUnavailable({
            reference,
            reason: `it is protected by a passphrase, and ${place} ${clause}`,
            hint
          })
      ),
    requestNew: (reference) =>
      Effect.mapError(
        read,
        (clause) => new PassphraseRefused({ reference, detail: `${place} ${clause}; ${hint}` })
      )
  }
}

const ask = (question: string) => Effect.map(terminal.askHidden(question), Passphrase.fromText)

const atTerminal: Passphrase.Shape = {
  maxAttempts: 3,
  request: (reference, attempt) =>
    ask(`${attempt > 1 ? "Wrong passphrase. " : ""}Passphrase of ${shown(reference)}: `).pipe(
      Effect.filterOrFail(
        (answer) => answer.length > 0,
        () => "none was entered"
      ),
      Effect.mapError(
        (clause) =>
          new KeyUnavailable({
            reference,
            reason: `it is protected by a passphrase, and ${clause}`,
            hint: `use --passphrase-fd or ${variable} instead`
          })
      )
    ),
  requestNew: (reference) =>
    Effect.gen(function* () {
      const first = yield* ask(`New passphrase for ${shown(reference)}: `)
      // The caller refuses an empty passphrase.
      return first.length === 0 || first.equals(yield* ask("Repeat the passphrase: "))
        ? first
        : yield* Effect.fail("the passphrases differ")
    }).pipe(
      Effect.mapError(
        (clause) => new PassphraseRefused({ reference, detail: `${clause}; nothing was changed` })
      )
    )
}
