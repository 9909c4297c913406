// The source of passphrases: --passphrase-fd, else the environment, else the terminal. Never an
// argument, which other users could see.
import { shown } from "../../bytes/excerpt.ts"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Secret } from "../../bytes/Secret.ts"
import * as Descriptor from "../../keys/Descriptor.ts"
import { KeyUnavailable, PassphraseRefused } from "../../keys/KeyErrors.ts"
import { Passphrase } from "../../keys/Passphrase.ts"
import { Streams } from "../Streams.ts"
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
    if (descriptor !== undefined)
      return Effect.map(Streams, ({ descriptors }) =>
        atDescriptor(Number(descriptor), descriptors.stdin)
      )
    if (text !== "")
      return Effect.succeed(
        fromPlace(
          Passphrase.fromInput(Buffer.from(text)),
          `the environment variable ${variable}`,
          "set it to one line"
        )
      )
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

/** Reads the descriptor once, for all keys. 0 is that of standard input. */
const atDescriptor = (descriptor: number, stdin: number): Passphrase.Shape =>
  fromPlace(
    Effect.runSync(
      Effect.cached(
        Effect.flatMap(
          Descriptor.read(descriptor === 0 ? stdin : descriptor, {
            maxBytes: Passphrase.maxInputBytes,
            isComplete: (bytes) => bytes.includes(0x0a)
          }),
          Passphrase.fromInput
        )
      )
    ),
    `file descriptor ${descriptor}`,
    `open it where the command starts: ${descriptor}< FILE`
  )

/** A source with one passphrase for all keys. `hint` is the next step when it cannot be read. */
const fromPlace = (
  read: Effect.Effect<Secret, string>,
  place: string,
  hint: string
): Passphrase.Shape => ({
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
})

/** The passphrase that is typed or pasted; an empty one for an empty line. */
const ask = (question: string): Effect.Effect<Secret, string> =>
  Effect.flatMap(terminal.askHidden(question), (answer) =>
    answer === ""
      ? Effect.succeed(Passphrase.fromText(""))
      : Either.mapLeft(
          Passphrase.fromInput(Buffer.from(answer)),
          (clause) => `what was typed ${clause}`
        )
  )

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
