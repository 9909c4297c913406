// The keys that the commands on files are given: for whom to encrypt, and what to open with.
import * as Options from "@effect/cli/Options"
import type * as ValidationError from "@effect/cli/ValidationError"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Secret } from "../../bytes/Secret.ts"
import * as Printable from "../../bytes/Printable.ts"
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
import * as PeersFile from "../commands/peers/PeersFile.ts"
import * as recipients from "./recipients.ts"
import * as shared from "./options.ts"

/** Who writes a file is to be proven, and there is no identity to prove it with. */
export class SenderNeeded extends Data.TaggedError("SenderNeeded")<{ readonly identity: string }> {
  override get message(): string {
    return (
      `recipients learn who wrote the file, and there is no identity at ${this.identity} to show it; ` +
      "make one with sealwire keygen --identity, or write it without: --anonymous"
    )
  }
}

/** The file is not from whom it was said to be. */
export class SenderUnexpected extends Data.TaggedError("SenderUnexpected")<{
  readonly file: string
  readonly detail: string
}> {
  override get message(): string {
    return `${this.file}: ${this.detail}; nothing of it was decrypted`
  }
}

/** For whom to encrypt. */
export const recipientOptions = {
  to: Options.text("to").pipe(
    Options.withPseudoName("WHOM"),
    Options.repeated,
    Options.withDescription(
      "For whom: a public key (sealwire1…), a name in authorized_peers or known_peers, or a file with a public key on each line. " +
        "Any number of times; this side reads it afterwards only when it is one of them."
    )
  ),
  anonymous: Options.boolean("anonymous").pipe(
    Options.withDescription(
      "Do not tell the recipients who wrote it. Without it they learn this side's identity."
    )
  ),
  passphrase: Options.boolean("passphrase").pipe(
    Options.withDescription(
      "For whoever knows a passphrase, which is asked for (or comes as for protected keys)."
    )
  )
}

export const keyOption = (name: string, description: string) =>
  Options.text(name).pipe(
    Options.withPseudoName("KEY"),
    Options.optional,
    Options.withDescription(`${description}: ${shared.keyLocations}.`)
  )

export const senderOption = Options.text("from").pipe(
  Options.withPseudoName("WHOM"),
  Options.optional,
  Options.withDescription(
    "Decrypt only what this key, or a key of this name, has written. WHOM as in encrypt --to."
  )
)

interface RecipientFlags {
  readonly to: ReadonlyArray<string>
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

/** Exactly one of recipients, file key and passphrase. `reference` is what a passphrase is asked for. */
export const loadRecipients = (
  { to, anonymous, passphrase, key, identity }: RecipientFlags,
  reference: string
): Effect.Effect<Recipients, RecipientError> =>
  Effect.gen(function* () {
    const ways = [to.length > 0, Option.isSome(key), passphrase].filter(Boolean).length
    if (ways === 0)
      return yield* shared.usageError("for whom? give --to WHOM, --key KEY or --passphrase")
    if (ways > 1)
      return yield* shared.usageError(
        "one of --to, --key and --passphrase: a file key or a passphrase stands alone"
      )
    if (anonymous && to.length === 0) return yield* shared.usageError("--anonymous goes with --to")
    if (Option.isSome(key)) return Recipients.FileKey({ key: yield* loadKey(key.value, FileKey) })
    if (passphrase) return Recipients.Passphrase({ reference })
    const publicKeys = (yield* Effect.forEach(to, recipients.publicKeysOf)).flat()
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

/** What opens each kind of file, as a clause, and which of the two keys that is. */
const openedBy: Readonly<Record<Kind, { readonly clause: string; readonly by?: keyof KeyFlags }>> =
  {
    fileKey: { clause: "it opens with a file key", by: "key" },
    passphrase: { clause: "it opens with a passphrase, which is asked for" },
    recipients: { clause: "it opens with the identity of one of its recipients", by: "identity" },
    anonymous: { clause: "it opens with the identity of one of its recipients", by: "identity" }
  }

type OpenError = KeyLoadError | NotForThisKey | ValidationError.ValidationError

/** What a file is opened with, each loaded when the file asks for it. `options` are what the two are given by; one that does not fit is refused. */
export const openingKeys = (
  given: KeyFlags,
  file: string,
  options: Partial<Record<keyof KeyFlags, string>>
): DecryptionKeys<OpenError> => ({
  check: (kind) => {
    const { clause, by } = openedBy[kind]
    const idle = (["key", "identity"] as const).find(
      (each) => each !== by && Option.isSome(given[each]) && options[each] !== undefined
    )
    return idle === undefined
      ? Effect.void
      : shared.optionError(options[idle] ?? "", `${Printable.line(file)}: ${clause}`)
  },
  fileKey: loadOrDefault(
    given.key,
    shared.fileKeyFile,
    FileKey,
    (at) => new NotForThisKey({ file, detail: needsKey(at, `--${options.key ?? ""}`) })
  ),
  identity: loadOrDefault(
    given.identity,
    shared.identityFile(),
    Identity,
    (at) => new NotForThisKey({ file, detail: needsIdentity(at) })
  )
})

const needsKey = (at: string, option: string) =>
  `it opens with a file key, and there is none at ${at}; name it with ${option}`
const needsIdentity = (at: string) =>
  `it is encrypted to recipients, and there is no identity at ${at}; name yours with --identity`

/** The key that is given; where none is, the usual one, whose absence means that it should have been. */
const loadOrDefault = <Key>(
  given: Option.Option<string>,
  usual: string,
  kind: KeyKind<Key>,
  missing: (at: string) => NotForThisKey
): Effect.Effect<Key, KeyLoadError | NotForThisKey> =>
  Option.match(given, {
    onSome: (reference) => loadKey(reference, kind),
    onNone: () => Effect.catchTag(loadKey(usual, kind), "KeyFileMissing", () => missing(usual))
  })

export const loadKey = <Key>(
  reference: string,
  kind: KeyKind<Key>
): Effect.Effect<Key, KeyLoadError> =>
  Effect.flatMap(KeyStore, (store) => store.load(kind)).pipe(
    Effect.provide(KeyStore.layerReference(reference))
  )

/** The key that opens a file as it is, without a header. */
export const loadFileKey = (key: Option.Option<string>): Effect.Effect<Secret, KeyLoadError> =>
  loadKey(
    Option.getOrElse(key, () => shared.fileKeyFile),
    FileKey
  )

/** Refuses a file that is from somebody else, or does not say from whom. */
export const checkSender = (
  from: Option.Option<string>,
  { sender }: Origin,
  file: string
): Effect.Effect<
  void,
  SenderUnexpected | PeersInvalid | recipients.RecipientUnknown | KeyReferenceInvalid
> =>
  Effect.gen(function* () {
    if (Option.isNone(from)) return
    if (sender === undefined)
      return yield* new SenderUnexpected({ file, detail: "it does not say who wrote it" })
    const wanted = yield* recipients.publicKeysOf(from.value)
    if (wanted.some((key) => Buffer.compare(key, sender) === 0)) return
    const name = (yield* recipients.findPeer(sender))?.name
    const who = `${name === undefined ? "" : `${name}, `}${PublicKey.encode(sender)}`
    return yield* new SenderUnexpected({
      file,
      detail: `it is from ${who}, and not from ${from.value}`
    })
  })

/** The name of who wrote a file; said, where that key is not good any more. */
export const senderName = (
  sender: Uint8Array | undefined,
  now: number
): Effect.Effect<string | undefined, PeersInvalid> =>
  Effect.gen(function* () {
    const peer = sender === undefined ? undefined : yield* recipients.findPeer(sender)
    if (peer === undefined) return undefined
    if (PeersFile.isEnded(peer, now))
      yield* Effect.logWarning(
        `the key of ${peer.name} is not good any more (${PeersFile.stateOf(peer, now)}): who has it may not be ${peer.name}`
      )
    return peer.name
  })
