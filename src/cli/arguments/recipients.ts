// To whom a file is, as people say it: keys, names in the peers files, files of keys. And the other way: whose key that is.
import { readFile, stat } from "node:fs/promises"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { limits } from "../../files/limits.ts"
import * as InlineKey from "../../keys/InlineKey.ts"
import type { KeyReferenceInvalid } from "../../keys/KeyErrors.ts"
import { decodePublicPem } from "../../keys/KeyPair.ts"
import type { PeersInvalid } from "../../peers/Peers.ts"
import * as PublicKey from "../../keys/PublicKey.ts"
import { excerpt } from "../../bytes/excerpt.ts"
import { nearest } from "./nearest.ts"
import * as PeersFile from "../commands/peers/PeersFile.ts"

/** What was given stands for no public key. */
export class RecipientUnknown extends Data.TaggedError("RecipientUnknown")<{
  readonly detail: string
}> {
  override get message(): string {
    return this.detail
  }
}

type Keys = ReadonlyArray<Uint8Array>

/** The public keys that one of these stands for: a key, a name (all keys of it that are good now), or a file of keys. */
export const publicKeysOf = (
  given: string
): Effect.Effect<Keys, RecipientUnknown | PeersInvalid | KeyReferenceInvalid> =>
  Effect.gen(function* () {
    if (InlineKey.isInlineKey(given)) return yield* InlineKey.inlineKeyError()
    const key = PublicKey.decode(given)
    if (key !== undefined) return [key]
    if (PublicKey.looksLike(given))
      return yield* unknown(
        `${given}: the checksum of this public key is wrong; a character was lost or changed`
      )
    // Before a file of that name, which anybody may have put into this folder.
    const all = yield* peers
    const named = all.filter(({ name }) => name === given)
    const now = yield* Clock.currentTimeMillis
    const good = named.filter((peer) => !PeersFile.isEnded(peer, now))
    if (good.length > 0) return good.map(({ publicKey }) => publicKey)
    if (named.length > 0)
      return yield* unknown(
        `no key of ${given} is good any more: ${named.map((peer) => PeersFile.stateOf(peer, now)).join(", ")}`
      )
    return yield* inFile(
      given,
      all.map(({ name }) => name)
    )
  })

/** Whose key it is, and in what state; the first line that has it. */
export const findPeer = (
  publicKey: Uint8Array
): Effect.Effect<PeersFile.Listed | undefined, PeersInvalid> =>
  Effect.map(peers, (all) => all.find((peer) => Buffer.compare(peer.publicKey, publicKey) === 0))

/** Everybody in authorized_peers and known_peers. */
const peers: Effect.Effect<ReadonlyArray<PeersFile.Listed>, PeersInvalid> = Effect.suspend(() =>
  Effect.map(
    Effect.forEach([false, true], (known) =>
      PeersFile.read(PeersFile.fileOf({ known, file: Option.none() }))
    ),
    (lists) => lists.flat()
  )
)

/** One public key a line, and what comes after it is a comment; or an X25519 public key in PEM. */
const inFile = (
  file: string,
  names: ReadonlyArray<string>
): Effect.Effect<Keys, RecipientUnknown> =>
  Effect.gen(function* () {
    const text = yield* Effect.tryPromise({
      try: async () => {
        const { size } = await stat(file)
        if (size > limits.keysFileBytes) throw Object.assign(new Error(), { code: "EFBIG" })
        return await readFile(file, "utf8")
      },
      catch: (cause) => {
        const { code = "unknown error" } = cause as NodeJS.ErrnoException
        const none =
          "is no public key (sealwire1…), no name in authorized_peers or known_peers, and no file"
        const near = nearest(file, names)
        const hint = near.length > 0 ? `; did you mean ${near.join(", ")}?` : ""
        return new RecipientUnknown({
          detail:
            code === "ENOENT"
              ? `${excerpt(file)} ${none}${hint}`
              : `${file}: cannot be read (${code})`
        })
      }
    })
    const pem = decodePublicPem(text)
    if (pem !== undefined) return [pem]
    const lines = text
      .split(/\r?\n/)
      .map((line, index) => ({ number: index + 1, word: line.trim().split(/\s+/)[0] ?? "" }))
    const written = lines.filter(({ word }) => word !== "" && !word.startsWith("#"))
    const keys = written.map(({ word }) => PublicKey.decode(word))
    const wrong = written[keys.indexOf(undefined)]
    if (wrong !== undefined)
      return yield* unknown(
        `${file}:${wrong.number}: a line is a public key (sealwire1…)${secretHint(wrong.word)}`
      )
    return keys.length > 0
      ? (keys as Keys)
      : yield* unknown(`${file}: holds no public key (sealwire1…)`)
  })

const secretHint = (word: string): string =>
  /^SEALWIRE-|^-----BEGIN/i.test(word)
    ? ", and this is a secret one; sealwire pubkey shows its public half"
    : ""

const unknown = (detail: string) => new RecipientUnknown({ detail })
