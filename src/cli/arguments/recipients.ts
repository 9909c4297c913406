// Resolves recipients to public keys: a key, a name in the peers files, or a file of keys. Also
// finds the name of a key.
import { readFile, stat } from "node:fs/promises"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { limits } from "../../files/limits.ts"
import * as InlineKey from "../../keys/InlineKey.ts"
import type { KeyReferenceInvalid } from "../../keys/KeyErrors.ts"
import { decodePublicPem } from "../../keys/KeyPair.ts"
import type { PeersInvalid } from "../../peers/Peers.ts"
import * as PublicKey from "../../keys/PublicKey.ts"
import * as Utf8 from "../../bytes/Utf8.ts"
import { quoted, shown } from "../../bytes/excerpt.ts"
import { nearest } from "./nearest.ts"
import * as PeersFile from "../connection/PeersFile.ts"

/** The text names no public key. */
export class RecipientUnknown extends Data.TaggedError("RecipientUnknown")<{
  readonly detail: string
}> {
  override get message(): string {
    return this.detail
  }
}

type Keys = ReadonlyArray<Uint8Array>

/**
 * The public keys of a recipient: the key itself, all valid keys of a name, or the keys in a file.
 */
export const publicKeysOf = (
  recipient: string
): Effect.Effect<Keys, RecipientUnknown | PeersInvalid | KeyReferenceInvalid> =>
  Effect.gen(function* () {
    if (InlineKey.isInlineKey(recipient)) return yield* InlineKey.inlineKeyError()
    const key = PublicKey.decode(recipient)
    if (key !== undefined) return [key]
    if (PublicKey.looksLike(recipient))
      return yield* unknown(
        `${shown(recipient)}: the checksum of this public key is wrong; a character was lost or changed`
      )
    // Names before files: another user may have put a file of that name into this folder.
    const all = yield* peers
    const named = all.filter(({ name }) => name === recipient)
    const now = yield* Clock.currentTimeMillis
    const valid = named.filter((peer) => !PeersFile.isEnded(peer, now))
    if (valid.length > 0) return valid.map(({ publicKey }) => publicKey)
    if (named.length > 0)
      return yield* unknown(
        `${shown(recipient)} has no valid key: ${named.map((peer) => PeersFile.stateOf(peer, now)).join(", ")}`
      )
    return yield* inFile(
      recipient,
      all.map(({ name }) => name)
    )
  })

/** The first line of the peers files with this key. */
export const findPeer = (
  publicKey: Uint8Array
): Effect.Effect<PeersFile.PeerEntry | undefined, PeersInvalid> =>
  Effect.map(peers, (all) => all.find((peer) => Buffer.compare(peer.publicKey, publicKey) === 0))

/** The lines of authorized_peers and known_peers. */
const peers: Effect.Effect<ReadonlyArray<PeersFile.PeerEntry>, PeersInvalid> = Effect.suspend(() =>
  Effect.map(
    Effect.forEach([false, true], (known) => PeersFile.read(PeersFile.defaultFileOf(known))),
    (lists) => lists.flat()
  )
)

/**
 * Reads one public key per line, each followed by an optional comment; or an X25519 public key in
 * PEM.
 */
const inFile = (
  file: string,
  names: ReadonlyArray<string>
): Effect.Effect<Keys, RecipientUnknown> =>
  Effect.gen(function* () {
    const content = yield* Effect.tryPromise({
      try: async () => {
        const { size } = await stat(file)
        if (size > limits.keysFileBytes) throw Object.assign(new Error(), { code: "EFBIG" })
        return await readFile(file)
      },
      catch: (cause) => {
        const { code = "unknown error" } = cause as NodeJS.ErrnoException
        const notFound =
          "is not a public key (sealwire1…), a name in authorized_peers or known_peers, or a file"
        const suggestions = nearest(file, names)
        const hint = suggestions.length > 0 ? `; did you mean ${suggestions.join(", ")}?` : ""
        return new RecipientUnknown({
          detail:
            code === "ENOENT"
              ? `${quoted(file)} ${notFound}${hint}`
              : `${shown(file)}: cannot be read (${code})`
        })
      }
    })
    const text = Utf8.decode(content)
    if (text === undefined)
      return yield* unknown(`${shown(file)}:${Utf8.faultOf(content)?.line ?? 0}: not valid UTF-8`)
    const pem = decodePublicPem(text)
    if (pem !== undefined) return [pem]
    const lines = text
      .split(/\r?\n/)
      .map((line, index) => ({ number: index + 1, word: line.trim().split(/\s+/)[0] ?? "" }))
    const entries = lines.filter(({ word }) => word !== "" && !word.startsWith("#"))
    const keys = entries.map(({ word }) => PublicKey.decode(word))
    const wrong = entries[keys.indexOf(undefined)]
    if (wrong !== undefined)
      return yield* unknown(
        `${shown(file)}:${wrong.number}: not a public key (sealwire1…)${secretHint(wrong.word)}`
      )
    return keys.length > 0
      ? (keys as Keys)
      : yield* unknown(`${shown(file)}: contains no public key (sealwire1…)`)
  })

const secretHint = (word: string): string =>
  /^SEALWIRE-|^-----BEGIN/i.test(word)
    ? ", but a private key; sealwire pubkey shows its public key"
    : ""

const unknown = (detail: string) => new RecipientUnknown({ detail })
