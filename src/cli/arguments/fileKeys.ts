// The keys of the file commands: the recipients to encrypt for, and the keys to decrypt with.
import { shown } from "../../bytes/excerpt.ts"
import * as Flag from "./Flag.ts"
import type * as ValidationError from "@effect/cli/ValidationError"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Secret } from "../../bytes/Secret.ts"
import type { Origin } from "../../files/EncryptedFile.ts"
import { NotForThisKey } from "../../files/FileErrors.ts"
import type { Kind } from "../../files/Header.ts"
import type { DecryptionKeys } from "../../files/Stanzas.ts"
import { Recipients } from "../../files/Recipients.ts"
import type { KeyLoadError, KeyReferenceInvalid } from "../../keys/KeyErrors.ts"
import { FileKey, Identity, type KeyKind } from "../../keys/KeyKind.ts"
import { KeyStore } from "../../keys/KeyStore.ts"
import type { PeersInvalid } from "../../peers/Peers.ts"
import * as PublicKey from "../../keys/PublicKey.ts"
import * as PeersFile from "../connection/PeersFile.ts"
import * as recipients from "./recipients.ts"
import * as shared from "./options.ts"

/** Encryption to recipients authenticates the sender, and this user has no identity. */
export class SenderNeeded extends Data.TaggedError("SenderNeeded")<{ readonly identity: string }> {
  override get message(): string {
    return (
      `no identity at ${shown(this.identity)} to authenticate the sender of the file; ` +
      "create one: sealwire keygen identity, or leave the sender out: --anonymous"
    )
  }
}

/** The sender of a file is not the one that `--sender` names. */
export class SenderUnexpected extends Data.TaggedError("SenderUnexpected")<{
  readonly file: string
  readonly detail: string
}> {
  override get message(): string {
    return `${shown(this.file)}: ${this.detail}; nothing was decrypted`
  }
}

/** The options that select the recipients. */
export const recipientOptions = {
  recipient: Flag.text("recipient").pipe(
    Flag.withShort("r"),
    Flag.completing("peer"),
    Flag.withGuesses("--to"),
    Flag.withValue("RECIPIENT"),
    Flag.repeated,
    Flag.withDescription(
      "Recipient: a public key (sealwire1…), a name in authorized_peers or known_peers, or a file with one public key per line. " +
        "You can decrypt the file only if you are a recipient."
    )
  ),
  anonymous: Flag.boolean("anonymous").pipe(
    Flag.withDescription(
      "Leave the sender out. Without it recipients see your identity and verify it."
    )
  ),
  passphrase: Flag.boolean("passphrase").pipe(
    Flag.withShort("p"),
    Flag.withDescription(
      "Encrypt with a passphrase: from --passphrase-fd, SEALWIRE_PASSPHRASE or the terminal."
    )
  )
}

export const keyOption = (name: string, description: string) =>
  Flag.text(name).pipe(
    Flag.withValue("KEY"),
    Flag.completing("file"),
    Flag.optional,
    Flag.withDescription(`${description}.`)
  )

export const senderOption = Flag.text("sender").pipe(
  Flag.completing("peer"),
  Flag.withGuesses("--from"),
  Flag.withValue("SENDER"),
  Flag.optional,
  Flag.withDescription(
    "Decrypt only if this sender wrote the file: a public key, a name or a file, as for encrypt --recipient."
  )
)

interface RecipientFlags {
  readonly recipient: ReadonlyArray<string>
  readonly anonymous: boolean
  readonly passphrase: boolean
  readonly key: Option.Option<string>
  readonly identity: Option.Option<string>
}

type RecipientError =
  | KeyLoadError
  | PeersInvalid
  | recipients.RecipientUnknown
  | SenderNeeded
  | ValidationError.ValidationError

/**
 * The recipients of a file: public keys, one file key, or one passphrase. The prompt for a
 * passphrase names `reference`.
 */
export const loadRecipients = (
  { recipient, anonymous, passphrase, key, identity }: RecipientFlags,
  reference: string
): Effect.Effect<Recipients, RecipientError> =>
  Effect.gen(function* () {
    const ways = [recipient.length > 0, Option.isSome(key), passphrase].filter(Boolean).length
    if (ways === 0)
      return yield* shared.usageError("no recipients; use --recipient, --file-key or --passphrase")
    if (ways > 1)
      return yield* shared.usageError("--recipient, --file-key and --passphrase exclude each other")
    if (anonymous && recipient.length === 0)
      return yield* shared.usageError("--anonymous requires --recipient")
    if (Option.isSome(key)) return Recipients.FileKey({ key: yield* loadKey(key.value, FileKey) })
    if (passphrase) return Recipients.Passphrase({ reference })
    const publicKeys = (yield* Effect.forEach(recipient, recipients.publicKeysOf)).flat()
    if (anonymous) return Recipients.Anonymous({ publicKeys })
    const own = shared.identityReference(identity)
    const sender = yield* Effect.catchIf(
      loadKey(own, Identity),
      (error) => error._tag === "KeyFileMissing" && Option.isNone(identity),
      () => new SenderNeeded({ identity: own })
    )
    return Recipients.Recipients({ publicKeys, sender })
  })

interface KeyFlags {
  readonly key: Option.Option<string>
  readonly identity: Option.Option<string>
}

/** The key that each kind of file needs, as a clause and as a flag. */
const requiredKey: Readonly<
  Record<Kind, { readonly clause: string; readonly flag?: keyof KeyFlags }>
> = {
  fileKey: { clause: "decrypting it needs a file key", flag: "key" },
  passphrase: { clause: "decrypting it needs a passphrase" },
  recipients: { clause: "decrypting it needs the identity of a recipient", flag: "identity" },
  anonymous: { clause: "decrypting it needs the identity of a recipient", flag: "identity" }
}

type OpenError = KeyLoadError | NotForThisKey | ValidationError.ValidationError

/**
 * The keys to decrypt `file` with, each loaded only if the file needs it. `options` are the names
 * of the options that give them; an option that the file has no use for is an error.
 */
export const openingKeys = (
  given: KeyFlags,
  file: string,
  options: Partial<Record<keyof KeyFlags, string>>
): DecryptionKeys<OpenError> => ({
  check: (kind) => {
    const { clause, flag } = requiredKey[kind]
    const unused = (["key", "identity"] as const).find(
      (each) => each !== flag && Option.isSome(given[each]) && options[each] !== undefined
    )
    return unused === undefined
      ? Effect.void
      : shared.optionError(options[unused] ?? "", `${shown(file)}: ${clause}`)
  },
  fileKey: loadOrDefault(
    given.key,
    () => shared.fileKeyFile,
    FileKey,
    (at) => new NotForThisKey({ file, detail: needsKey(at, `--${options.key ?? ""}`) })
  ),
  identity: loadOrDefault(
    given.identity,
    shared.identityFile,
    Identity,
    (at) => new NotForThisKey({ file, detail: needsIdentity(at) })
  )
})

const needsKey = (at: string, option: string) =>
  `it needs a file key, and there is none at ${shown(at)}; use ${option}`
const needsIdentity = (at: string) =>
  `it needs the identity of a recipient, and there is none at ${shown(at)}; use --identity`

/** The given key, or the default one. If the default does not exist, `missing` is the error. */
const loadOrDefault = <Key>(
  given: Option.Option<string>,
  defaultReference: () => string,
  kind: KeyKind<Key>,
  missing: (at: string) => NotForThisKey
): Effect.Effect<Key, KeyLoadError | NotForThisKey> =>
  Option.match(given, {
    onSome: (reference) => loadKey(reference, kind),
    onNone: () =>
      Effect.suspend(() => {
        const at = defaultReference()
        return Effect.catchTag(loadKey(at, kind), "KeyFileMissing", () => missing(at))
      })
  })

export const loadKey = <Key>(
  reference: string,
  kind: KeyKind<Key>
): Effect.Effect<Key, KeyLoadError> =>
  Effect.flatMap(KeyStore, (store) => store.load(kind)).pipe(
    Effect.provide(KeyStore.layerReference(reference))
  )

/** The file key of a file without a header. */
export const loadFileKey = (key: Option.Option<string>): Effect.Effect<Secret, KeyLoadError> =>
  loadKey(
    Option.getOrElse(key, () => shared.fileKeyFile),
    FileKey
  )

/** Fails unless the sender of the file is the one that `--sender` names. An anonymous file fails. */
export const checkSender = (
  expectedSender: Option.Option<string>,
  { sender }: Origin,
  file: string
): Effect.Effect<
  void,
  SenderUnexpected | PeersInvalid | recipients.RecipientUnknown | KeyReferenceInvalid
> =>
  Effect.gen(function* () {
    if (Option.isNone(expectedSender)) return
    if (sender === undefined)
      return yield* new SenderUnexpected({ file, detail: "its sender is anonymous" })
    const expected = yield* recipients.publicKeysOf(expectedSender.value)
    if (expected.some((key) => Buffer.compare(key, sender) === 0)) return
    const name = (yield* recipients.findPeer(sender))?.name
    const actual = `${name === undefined ? "" : `${name}, `}${PublicKey.encode(sender)}`
    return yield* new SenderUnexpected({
      file,
      detail: `it is from ${actual}, not from ${shown(expectedSender.value)}`
    })
  })

/**
 * The sender's name in the peers files. Warns if the sender's key is revoked, expired or retired.
 */
export const senderName = (
  sender: Uint8Array | undefined,
  now: number
): Effect.Effect<string | undefined, PeersInvalid> =>
  Effect.gen(function* () {
    const peer = sender === undefined ? undefined : yield* recipients.findPeer(sender)
    if (peer === undefined) return undefined
    if (PeersFile.isEnded(peer, now))
      yield* Effect.logWarning(
        `the key of ${peer.name} is no longer valid (${PeersFile.stateOf(peer, now)}): the sender may not be ${peer.name}`
      )
    return peer.name
  })
