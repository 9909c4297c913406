// A header key put into the stanzas of a header, and taken out of one again. FORMAT.md, "The header".
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
import { isNoiseError as isNoiseRefusal } from "../noise/NoiseError.ts"
import { FileTampered, NotForThisKey, RecipientRefused } from "./FileErrors.ts"
import type { Header, Kind } from "./Header.ts"
import { limits } from "./limits.ts"
import { isOpenFailure, openMessage } from "./Opener.ts"
import { sealMessage } from "./Sealer.ts"
import { Recipients } from "./Recipients.ts"

/** Every reason for which a file is not made for whom it should be. */
export type WrapError = PassphraseRefused | KeyUnavailable | RecipientRefused

/** A header whose stanzas hold the header key. */
export const wrap = (
  to: Recipients,
  headerKey: Secret,
  rekeyed: boolean
): Effect.Effect<Header, WrapError> =>
  Effect.map(stanzasOf(to, headerKey), (stanzas) => ({ kind: kindOf[to._tag], stanzas, rekeyed }))

/** What a reader has. Each is loaded only when a header asks for it. */
export interface DecryptionKeys<E = never> {
  /** Hears what the file opens with before anything is loaded or asked for, and may refuse. */
  readonly check?: (kind: Kind) => Effect.Effect<void, E>
  readonly fileKey?: Effect.Effect<Secret, E>
  readonly identity?: Effect.Effect<KeyPair, E>
}

export interface Unwrapped {
  readonly headerKey: Secret
  /** The public key of who wrote the header, where that is proven. */
  readonly sender: Uint8Array | undefined
  /** The public key that it was opened by. */
  readonly reader: Uint8Array | undefined
}

export type UnwrapError = FileTampered | NotForThisKey | KeyRejected | KeyUnavailable

/** The header key from the stanza that opens. `file` is for the errors and for the question after a passphrase. */
export const unwrap = <E>(
  header: Header,
  keys: DecryptionKeys<E>,
  file: string
): Effect.Effect<Unwrapped, UnwrapError | E> =>
  Effect.zipRight(
    keys.check?.(header.kind) ?? Effect.void,
    openers[header.kind](header, keys as DecryptionKeys, file)
  )

const kindOf: Readonly<Record<Recipients["_tag"], Kind>> = {
  FileKey: "fileKey",
  Passphrase: "passphrase",
  Recipients: "recipients",
  Anonymous: "anonymous"
}

const stanzasOf = (
  to: Recipients,
  headerKey: Secret
): Effect.Effect<ReadonlyArray<Uint8Array>, WrapError> =>
  Recipients.$match(to, {
    FileKey: ({ key }) =>
      Effect.sync(() => [sealMessage(key.expose(), fileKeyContext, headerKey.expose())]),
    Passphrase: ({ reference }) =>
      Effect.flatMap(Passphrase.wrap(reference, FileKey, headerKey), (payload) =>
        // A program says what scrypt is to do: nothing is written that would be refused.
        Either.match(ProtectedKey.decode(payload, limits.scrypt), {
          onLeft: ({ detail }) => new PassphraseRefused({ reference, detail }),
          onRight: () => Effect.succeed([payload])
        })
      ),
    Recipients: ({ publicKeys, sender }) => messages("X", publicKeys, headerKey, sender),
    Anonymous: ({ publicKeys }) => messages("N", publicKeys, headerKey, undefined)
  })

type Opener = (
  header: Header,
  keys: DecryptionKeys,
  file: string
) => Effect.Effect<Unwrapped, UnwrapError>

const fileKey: Opener = ({ stanzas }, keys, file) =>
  keys.fileKey === undefined
    ? new NotForThisKey({ file, detail: "it opens with a file key, and none is given" })
    : Effect.flatMap(keys.fileKey, (key) => {
        const headerKey = openMessage(key.expose(), fileKeyContext, stanzas[0] ?? nothing)
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

const passphrase: Opener = ({ stanzas }, _, file) =>
  Effect.gen(function* () {
    const found = yield* Effect.mapError(
      ProtectedKey.decode(stanzas[0] ?? nothing, limits.scrypt),
      ({ detail }) => new FileTampered({ file, detail: `its header ${detail}` })
    )
    const { kind, secret } = yield* Effect.mapError(Passphrase.unwrap(file, found), (error) =>
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
        detail: `holds the key of another kind, ${kind.name}`
      })
    return { headerKey: secret, sender: undefined, reader: undefined }
  })

const message =
  (pattern: "X" | "N"): Opener =>
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
              prologue: prologue(stanzas.length),
              s
            })
            const headerKey = state.readMessage(stanza)
            if (!isNoiseRefusal(headerKey))
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

const openers: Readonly<Record<Kind, Opener>> = {
  fileKey,
  passphrase,
  recipients: message("X"),
  anonymous: message("N")
}

const nothing = new Uint8Array(0)
const fileKeyContext = Buffer.from("sealwire file v1 file key")
const protocols = { X: fromPattern("X"), N: fromPattern("N") }

/** The number of stanzas: none is taken away unseen, to make a file for several look as one for one reader alone. */
const prologue = (stanzas: number): Uint8Array => {
  const count = Buffer.alloc(2)
  count.writeUInt16BE(stanzas)
  return Buffer.concat([Buffer.from("sealwire file v1\0"), count])
}

const messages = (
  pattern: "X" | "N",
  publicKeys: ReadonlyArray<Uint8Array>,
  headerKey: Secret,
  sender: KeyPair | undefined
): Effect.Effect<ReadonlyArray<Uint8Array>, RecipientRefused> =>
  Effect.gen(function* () {
    const unlike = publicKeys.filter(
      (one, index) => publicKeys.findIndex((other) => Buffer.compare(one, other) === 0) === index
    )
    if (unlike.length === 0 || unlike.length > limits.recipients)
      return yield* new RecipientRefused({
        recipient: `${unlike.length} recipients`,
        detail: `a file has from 1 to ${limits.recipients}`
      })
    return yield* Effect.forEach(shuffled(unlike), (rs) => {
      const state = new HandshakeState({
        protocol: protocols[pattern],
        initiator: true,
        prologue: prologue(unlike.length),
        rs,
        ...(sender === undefined ? {} : { s: sender })
      })
      const stanza = state.writeMessage(headerKey.expose())
      return isNoiseRefusal(stanza)
        ? new RecipientRefused({
            recipient: PublicKey.encode(rs),
            detail: "this is no public key: everybody could read it"
          })
        : Effect.succeed(stanza)
    })
  })

/** In an order that tells nothing. Fisher and Yates. */
const shuffled = <A>(list: ReadonlyArray<A>): ReadonlyArray<A> => {
  const order = [...list]
  for (let last = order.length - 1; last > 0; last--) {
    const other = randomInt(last + 1)
    ;[order[last], order[other]] = [order[other] as A, order[last] as A]
  }
  return order
}
