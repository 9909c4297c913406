import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { Secret } from "../bytes/Secret.ts"
import { KeyRejected, KeyUnavailable, PassphraseRefused } from "./KeyErrors.ts"
import type { KeyKind } from "./KeyKind.ts"
import { limits } from "./limits.ts"
import * as ProtectedKey from "./ProtectedKey.ts"

/**
 * Where passphrases come from. A program that provides nothing has none, and its protected keys do not open.
 *
 * @example
 * Effect.provideService(program, Passphrase, Passphrase.always(Passphrase.secretOf("correct horse")))
 */
export class Passphrase extends Context.Reference<Passphrase>()("sealwire/keys/Passphrase", {
  defaultValue: (): Passphrase.Shape => {
    const hint = "give it with --passphrase-fd, in SEALWIRE_PASSPHRASE, or on a terminal"
    return {
      maxAttempts: 1,
      request: (reference) =>
        new KeyUnavailable({ reference, reason: "it is protected by a passphrase", hint }),
      requestNew: (reference) => new PassphraseRefused({ reference, detail: hint })
    }
  }
}) {
  /** As scrypt gets it: UTF-8, composed (NFC), so that every keyboard gives the same bytes. */
  static readonly fromText = (text: string): Secret =>
    new Secret(Buffer.from(text.normalize("NFC")))

  /** The same for every key. */
  static readonly always = (passphrase: Secret): Passphrase.Shape => ({
    maxAttempts: 1,
    request: () => Effect.succeed(passphrase),
    requestNew: () => Effect.succeed(passphrase)
  })
}

export declare namespace Passphrase {
  /** What a Passphrase does. */
  interface Shape {
    /** How often a key is tried with a passphrase that `toOpen` gives. */
    readonly maxAttempts: number
    /** The passphrase of the key at that reference; `attempt` counts from 1. */
    readonly request: (reference: string, attempt: number) => Effect.Effect<Secret, KeyUnavailable>
    /** What scrypt is asked to do for a key that gets a new one; `ProtectedKey.usual` without it. */
    readonly scrypt?: ProtectedKey.Scrypt
    /** A new one for the key at that reference. */
    readonly requestNew: (reference: string) => Effect.Effect<Secret, PassphraseRefused>
  }
}

/** Opens a protected key, asking for its passphrase. */
export const unwrap = (
  reference: string,
  found: ProtectedKey.ProtectedKey
): Effect.Effect<
  { readonly kind: KeyKind<unknown>; readonly secret: Secret },
  KeyRejected | KeyUnavailable
> =>
  Effect.gen(function* () {
    const { maxAttempts, request } = yield* Passphrase
    for (let attempt = 1; ; attempt++) {
      const passphrase = yield* request(reference, attempt)
      const opened = yield* withMemory(reference, () => ProtectedKey.unwrap(found, passphrase))
      if (Either.isRight(opened)) return opened.right
      if (opened.left.reason !== "wrong passphrase" || attempt >= maxAttempts)
        return yield* new KeyRejected({ reference, ...opened.left })
    }
  })

/** The text form of a key under a new passphrase. */
export const wrapAsText = (
  reference: string,
  kind: KeyKind<unknown>,
  secret: Secret
): Effect.Effect<string, PassphraseRefused | KeyUnavailable> =>
  Effect.map(wrap(reference, kind, secret), ProtectedKey.encode)

/** The payload of the text form, for who has another place for it. */
export const wrap = (
  reference: string,
  kind: KeyKind<unknown>,
  secret: Secret
): Effect.Effect<Uint8Array, PassphraseRefused | KeyUnavailable> =>
  Effect.gen(function* () {
    const { requestNew, scrypt } = yield* Passphrase
    const passphrase = yield* requestNew(reference)
    if (passphrase.length === 0)
      return yield* new PassphraseRefused({
        reference,
        detail: "an empty one protects nothing; choose another"
      })
    if (passphrase.length > limits.passphraseBytes)
      return yield* new PassphraseRefused({
        reference,
        detail: `it is longer than ${limits.passphraseBytes} bytes; choose another`
      })
    return yield* withMemory(reference, () => ProtectedKey.wrap(kind, secret, passphrase, scrypt))
  })

/** scrypt takes much of it, and a small machine may have less. */
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
        hint: "is there memory enough on this machine? scrypt takes 256 MiB and more"
      })
  })
