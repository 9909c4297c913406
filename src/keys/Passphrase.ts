import type * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { Secret } from "../bytes/Secret.ts"
import * as Utf8 from "../bytes/Utf8.ts"
import { KeyRejected, KeyUnavailable, PassphraseRefused } from "./KeyErrors.ts"
import type { KeyKind } from "./KeyKind.ts"
import { limits } from "./limits.ts"
import * as ProtectedKey from "./ProtectedKey.ts"

/**
 * The source of passphrases. A program that provides none cannot load protected keys.
 *
 * @example
 * const passphrase = Passphrase.always(Passphrase.fromText("correct horse"))
 * Effect.provideService(program, Passphrase, passphrase)
 */
export class Passphrase extends Context.Reference<Passphrase>()("sealwire/keys/Passphrase", {
  defaultValue: (): Passphrase.Shape => ({
    maxAttempts: 1,
    request: (reference) =>
      new KeyUnavailable({
        reference,
        reason: "it is protected by a passphrase, and none was given",
        hint: "provide the service Passphrase"
      }),
    requestNew: (reference) =>
      new PassphraseRefused({
        reference,
        detail: "none was given; provide the service Passphrase"
      })
  })
}) {
  /**
   * Encodes a passphrase for scrypt: UTF-8 after NFC, so that every keyboard gives equal bytes.
   * Throws a RangeError for a text with half of a surrogate pair, which UTF-8 cannot encode.
   */
  static readonly fromText = (text: string): Secret =>
    new Secret(Utf8.encode(text.normalize("NFC")))

  /**
   * Reads the passphrase of an input, such as a file or a variable: its first line, without a byte
   * order mark and the end of the line, which editors and `echo` add. Fails with a clause: "has no
   * passphrase as its first line".
   */
  static readonly fromInput = (input: Uint8Array): Either.Either<Secret, string> => {
    const end = input.indexOf(0x0a)
    const text = Utf8.decode(end < 0 ? input : input.subarray(0, end))
    if (text === undefined) return Either.left("has a first line that is not valid UTF-8")
    const line = text.replace(/^\ufeff/, "").replace(/\r$/, "")
    if (line === "") return Either.left("has no passphrase as its first line")
    return Buffer.byteLength(line) > limits.passphraseBytes
      ? Either.left(`has a first line of more than ${limits.passphraseBytes} bytes`)
      : Either.right(Passphrase.fromText(line))
  }

  /** The longest input of which `fromInput` needs to see the beginning: a byte order mark, a line. */
  static readonly maxInputBytes: number = limits.passphraseBytes + 5

  /**
   * One passphrase for every key, from memory or from the program's configuration. Fails with a
   * ConfigError if it cannot be read, or is no passphrase by `fromInput`.
   *
   * @example
   * Passphrase.layer(Config.redacted("SEALWIRE_PASSPHRASE"))
   */
  static readonly layer = (
    passphrase: Redacted.Redacted | Config.Config<string | Redacted.Redacted>
  ): Layer.Layer<never, ConfigError.ConfigError> =>
    Layer.effect(
      Passphrase,
      Effect.gen(function* () {
        const given = Redacted.isRedacted(passphrase) ? passphrase : yield* passphrase
        const text = Redacted.isRedacted(given) ? Redacted.value(given) : given
        return Passphrase.always(
          yield* Either.mapLeft(Passphrase.fromInput(Buffer.from(text)), (clause) =>
            ConfigError.InvalidData([], `it ${clause}`)
          )
        )
      })
    )

  /** A source that returns one passphrase for every key. */
  static readonly always = (passphrase: Secret): Passphrase.Shape => ({
    maxAttempts: 1,
    request: () => Effect.succeed(passphrase),
    requestNew: () => Effect.succeed(passphrase)
  })
}

export declare namespace Passphrase {
  /** The operations of a Passphrase source. */
  interface Shape {
    /** Number of times a passphrase is requested for one key. */
    readonly maxAttempts: number
    /** Returns the passphrase of the key at `reference`; `attempt` counts from 1. */
    readonly request: (reference: string, attempt: number) => Effect.Effect<Secret, KeyUnavailable>
    /** scrypt parameters for newly protected keys. Default: `ProtectedKey.defaultScrypt`. */
    readonly scrypt?: ProtectedKey.Scrypt
    /** Returns a new passphrase for the key at `reference`. */
    readonly requestNew: (reference: string) => Effect.Effect<Secret, PassphraseRefused>
  }
}

/** Unwraps a protected key with a passphrase from the service `Passphrase`. */
export const unwrap = (
  reference: string,
  protectedKey: ProtectedKey.ProtectedKey
): Effect.Effect<
  { readonly kind: KeyKind<unknown>; readonly secret: Secret },
  KeyRejected | KeyUnavailable
> =>
  Effect.gen(function* () {
    const { maxAttempts, request } = yield* Passphrase
    for (let attempt = 1; ; attempt++) {
      const passphrase = yield* request(reference, attempt)
      const unwrapped = yield* withMemory(reference, () =>
        ProtectedKey.unwrap(protectedKey, passphrase)
      )
      if (Either.isRight(unwrapped)) return unwrapped.right
      if (unwrapped.left.reason !== "wrong passphrase" || attempt >= maxAttempts)
        return yield* new KeyRejected({ reference, ...unwrapped.left })
    }
  })

/**
 * Returns a clause that tells why nothing new is protected with a passphrase. A control character
 * cannot be typed, and scrypt takes one that ends with NUL for the same as without. Passphrases that
 * earlier versions accepted still open their keys.
 */
const newProblem = (passphrase: Secret): string | undefined => {
  if (passphrase.length === 0) return "is empty"
  if (passphrase.length > limits.passphraseBytes)
    return `is longer than ${limits.passphraseBytes} bytes`
  return passphrase.expose().some((byte) => byte < 0x20 || byte === 0x7f)
    ? "has a control character"
    : undefined
}

/** Wraps a key under a new passphrase and returns its text form. */
export const wrapAsText = (
  reference: string,
  kind: KeyKind<unknown>,
  secret: Secret
): Effect.Effect<string, PassphraseRefused | KeyUnavailable> =>
  Effect.map(wrap(reference, kind, secret), ProtectedKey.encode)

/** Wraps a key under a new passphrase and returns the payload of its text form. */
export const wrap = (
  reference: string,
  kind: KeyKind<unknown>,
  secret: Secret
): Effect.Effect<Uint8Array, PassphraseRefused | KeyUnavailable> =>
  Effect.gen(function* () {
    const { requestNew, scrypt } = yield* Passphrase
    const passphrase = yield* requestNew(reference)
    const problem = newProblem(passphrase)
    if (problem !== undefined)
      return yield* new PassphraseRefused({ reference, detail: `it ${problem}; choose another` })
    return yield* withMemory(reference, () => ProtectedKey.wrap(kind, secret, passphrase, scrypt))
  })

/** Reports a failed key derivation: scrypt needs memory that a small machine may lack. */
const withMemory = <A>(
  reference: string,
  run: () => Promise<A>
): Effect.Effect<A, KeyUnavailable> =>
  Effect.tryPromise({
    try: run,
    catch: () =>
      new KeyUnavailable({
        reference,
        reason: "the key cannot be derived from the passphrase",
        hint: "free some memory: scrypt needs 256 MiB or more"
      })
  })
