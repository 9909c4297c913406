// Wraps a header key into the stanzas of a header, one for each recipient, and unwraps it from one.
// FORMAT.md, "The header".
import { randomInt } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { Secret } from "../bytes/Secret.ts"
import { KeyRejected, PassphraseRefused, type KeyUnavailable } from "../keys/KeyErrors.ts"
import { FileKey } from "../keys/KeyKind.ts"
import type { KeyPair } from "../keys/KeyPair.ts"
import * as Passphrase from "../keys/Passphrase.ts"
import * as ProtectedKey from "../keys/ProtectedKey.ts"
import * as PublicKey from "../keys/PublicKey.ts"
import { HandshakeState } from "../noise/HandshakeState.ts"
import { fromPattern } from "../noise/Protocol.ts"
import { isNoiseError } from "../noise/NoiseError.ts"
import { FileTampered, NotForThisKey, RecipientRefused } from "./FileErrors.ts"
import type { Header, Kind } from "./Header.ts"
import { limits } from "./limits.ts"
import { isOpenFailure, openMessage } from "./Opener.ts"
import { sealMessage } from "./Sealer.ts"
import { Recipients } from "./Recipients.ts"

/** Every error of wrapping a header key. */
export type WrapError = PassphraseRefused | KeyUnavailable | RecipientRefused

/** Wraps the header key for the recipients and returns the header. */
export const wrap = (
  to: Recipients,
  headerKey: Secret,
  rekeyed: boolean
): Effect.Effect<Header, WrapError> =>
  Effect.map(wrapStanzas(to, headerKey), (stanzas) => ({ kind: kindOf[to._tag], stanzas, rekeyed }))

/** The keys of a reader. Each is loaded only when a header needs it. */
export interface DecryptionKeys<E = never> {
  /**
   * Called with the kind of the header before any key is loaded or passphrase requested; may fail.
   */
  readonly check?: (kind: Kind) => Effect.Effect<void, E>
  readonly fileKey?: Effect.Effect<Secret, E>
  readonly identity?: Effect.Effect<KeyPair, E>
}

export interface Unwrapped {
  readonly headerKey: Secret
  /** The public key of the header's author, where it is authenticated. */
  readonly sender: Uint8Array | undefined
  /** The public key of the recipient that unwrapped it. */
  readonly reader: Uint8Array | undefined
}

export type UnwrapError = FileTampered | NotForThisKey | KeyRejected | KeyUnavailable

/**
 * Unwraps the header key from the first stanza that opens. `file` is the name in errors and in the
 * request for a passphrase.
 */
export const unwrap = <E>(
  header: Header,
  keys: DecryptionKeys<E>,
  file: string
): Effect.Effect<Unwrapped, UnwrapError | E> =>
  Effect.zipRight(
    keys.check?.(header.kind) ?? Effect.void,
    unwrappers[header.kind](header, keys as DecryptionKeys, file)
  )

const kindOf: Readonly<Record<Recipients["_tag"], Kind>> = {
  FileKey: "fileKey",
  Passphrase: "passphrase",
  Recipients: "recipients",
  Anonymous: "anonymous"
}

const wrapStanzas = (
  to: Recipients,
  headerKey: Secret
): Effect.Effect<ReadonlyArray<Uint8Array>, WrapError> =>
  Recipients.$match(to, {
    FileKey: ({ key }) =>
      Effect.sync(() => [sealMessage(key.expose(), fileKeyContext, headerKey.expose())]),
    Passphrase: ({ reference }) =>
      Effect.flatMap(Passphrase.wrap(reference, FileKey, headerKey), (payload) =>
        // The program chooses the scrypt parameters; do not write a file that readers reject.
        Either.match(ProtectedKey.decode(payload, limits.scrypt), {
          onLeft: ({ detail }) => new PassphraseRefused({ reference, detail }),
          onRight: () => Effect.succeed([payload])
        })
      ),
    Recipients: ({ publicKeys, sender }) => noiseStanzas("X", publicKeys, headerKey, sender),
    Anonymous: ({ publicKeys }) => noiseStanzas("N", publicKeys, headerKey, undefined)
  })

type Unwrapper = (
  header: Header,
  keys: DecryptionKeys,
  file: string
) => Effect.Effect<Unwrapped, UnwrapError>

const fileKey: Unwrapper = ({ stanzas }, keys, file) =>
  keys.fileKey === undefined
    ? new NotForThisKey({ file, detail: "it needs a file key, and none is given" })
    : Effect.flatMap(keys.fileKey, (key) => {
        const headerKey = openMessage(key.expose(), fileKeyContext, stanzas[0] ?? noBytes)
        return isOpenFailure(headerKey)
          ? new NotForThisKey({
              file,
              detail: "it opens with another file key (or its header was changed)"
            })
          : Effect.succeed({
              headerKey: new Secret(headerKey),
              sender: undefined,
              reader: undefined
            })
      })

const passphrase: Unwrapper = ({ stanzas }, _, file) =>
  Effect.gen(function* () {
    const protectedKey = yield* Effect.mapError(
      ProtectedKey.decode(stanzas[0] ?? noBytes, limits.scrypt),
      ({ detail }) => new FileTampered({ file, detail: `its header ${detail}` })
    )
    const { kind, secret } = yield* Effect.mapError(
      Passphrase.unwrap(file, protectedKey),
      (error) =>
        error._tag === "KeyRejected" && error.reason === "wrong passphrase"
          ? new KeyRejected({
              reference: file,
              reason: error.reason,
              detail: `${error.detail} (or its header was changed)`
            })
          : error
    )
    if (kind !== FileKey)
      return yield* new KeyRejected({
        reference: file,
        reason: "wrong kind",
        detail: `holds a key of another kind: ${kind.name}`
      })
    return { headerKey: secret, sender: undefined, reader: undefined }
  })

const noiseStanza =
  (pattern: "X" | "N"): Unwrapper =>
  ({ stanzas }, keys, file) =>
    keys.identity === undefined
      ? new NotForThisKey({
          file,
          detail: "it is encrypted to recipients, and no identity is given"
        })
      : Effect.flatMap(keys.identity, (s) => {
          for (const stanza of stanzas) {
            const state = new HandshakeState({
              protocol: protocols[pattern],
              initiator: false,
              prologue: prologueOf(stanzas.length),
              s
            })
            const headerKey = state.readMessage(stanza)
            if (!isNoiseError(headerKey))
              return Effect.succeed({
                headerKey: new Secret(headerKey),
                sender: state.remoteStatic,
                reader: s.publicKey
              })
          }
          return new NotForThisKey({
            file,
            detail: `it is not encrypted to the identity ${PublicKey.encode(s.publicKey)} (or its header was changed)`
          })
        })

const unwrappers: Readonly<Record<Kind, Unwrapper>> = {
  fileKey,
  passphrase,
  recipients: noiseStanza("X"),
  anonymous: noiseStanza("N")
}

const noBytes = new Uint8Array(0)
const fileKeyContext = Buffer.from("sealwire file v1 file key")
const protocols = { X: fromPattern("X"), N: fromPattern("N") }

/**
 * Binds the number of stanzas, so that nobody can remove some to make a file for several recipients
 * look like one for a single recipient.
 */
const prologueOf = (stanzas: number): Uint8Array => {
  const count = Buffer.alloc(2)
  count.writeUInt16BE(stanzas)
  return Buffer.concat([Buffer.from("sealwire file v1\0"), count])
}

const noiseStanzas = (
  pattern: "X" | "N",
  publicKeys: ReadonlyArray<Uint8Array>,
  headerKey: Secret,
  sender: KeyPair | undefined
): Effect.Effect<ReadonlyArray<Uint8Array>, RecipientRefused> =>
  Effect.gen(function* () {
    const unique = publicKeys.filter(
      (key, index) => publicKeys.findIndex((other) => Buffer.compare(key, other) === 0) === index
    )
    if (unique.length === 0 || unique.length > limits.recipients)
      return yield* new RecipientRefused({
        recipient: `${unique.length} recipients`,
        detail: `a file has 1 to ${limits.recipients} recipients`
      })
    return yield* Effect.forEach(shuffled(unique), (rs) => {
      const state = new HandshakeState({
        protocol: protocols[pattern],
        initiator: true,
        prologue: prologueOf(unique.length),
        rs,
        ...(sender === undefined ? {} : { s: sender })
      })
      const stanza = state.writeMessage(headerKey.expose())
      return isNoiseError(stanza)
        ? new RecipientRefused({
            recipient: PublicKey.encode(rs),
            detail: "is not a valid public key: anyone could read the file"
          })
        : Effect.succeed(stanza)
    })
  })

/** Shuffles a list (Fisher-Yates), so that the order of stanzas reveals nothing. */
const shuffled = <A>(list: ReadonlyArray<A>): ReadonlyArray<A> => {
  const order = [...list]
  for (let last = order.length - 1; last > 0; last--) {
    const other = randomInt(last + 1)
    ;[order[last], order[other]] = [order[other] as A, order[last] as A]
  }
  return order
}
