// Adds a paired peer to a peers file: to authorized_peers on the host, to known_peers on the joiner.
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as PeerEdits from "../../peers/PeerEdits.ts"
import * as PeerFiles from "../../peers/PeerFiles.ts"
import * as PeerName from "../../peers/PeerName.ts"
import { formatAuthorized, formatKnown, type PeersInvalid } from "../../peers/Peers.ts"
import * as PublicKey from "../../keys/PublicKey.ts"
import { excerpt } from "../../bytes/excerpt.ts"
import * as PeersFile from "../commands/peers/PeersFile.ts"

/** Both sides have confirmed, but the line could not be written on this side. */
export class PairingUnwritten extends Data.TaggedError("PairingUnwritten")<{
  readonly file: string
  readonly line: string
  readonly detail: string
}> {
  override get message(): string {
    return `paired, but not written here: ${this.detail}. Add this line to ${this.file} by hand: ${this.line}`
  }
}

/** The peers file that gets the peer. */
export interface Book {
  readonly file: PeersFile.PeersFile
  /** Address of the server; undefined on the host. */
  readonly address: string | undefined
}

/** The entry of the peer in the file, or the names that it may get. */
export interface Place {
  /** The name of its key, if the file already has it. */
  readonly known: string | undefined
  /** Returns why the peer cannot have a name, as a clause; undefined if it can. */
  readonly against: (name: string) => string | undefined
  /** Makes a suggested name unique. */
  readonly free: (suggestion: string) => string
}

/**
 * Looks the peer up. Fails if its key is revoked or has expired, and if the server's address is
 * pinned to another key: a pairing must not undo either.
 */
export const find = (
  book: Book,
  publicKey: Uint8Array
): Effect.Effect<Place, PeersFile.PeersUnchanged | PeersInvalid> =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    return yield* placeIn(book, yield* PeersFile.read(book.file), publicKey, now)
  })

const placeIn = (
  { file, address }: Book,
  peers: ReadonlyArray<PeersFile.PeerEntry>,
  publicKey: Uint8Array,
  now: number
): Either.Either<Place, PeersFile.PeersUnchanged> => {
  const refuse = (peer: PeersFile.PeerEntry, what: string) =>
    Either.left(new PeersFile.PeersUnchanged({ detail: `${file.path}:${peer.line} has ${what}` }))
  const isSame = (peer: PeersFile.PeerEntry) => Buffer.compare(peer.publicKey, publicKey) === 0
  const same = peers.filter(isSame)
  const gone = same.find(
    (peer) => peer.revoked || (peer.address === address && PeersFile.isEnded(peer, now))
  )
  if (gone !== undefined)
    return refuse(
      gone,
      `this key, ${PeersFile.stateOf(gone, now)}, as ${gone.name}; remove that line first`
    )
  const here = same.find((peer) => peer.address === address)
  const other = peers.find(
    (peer) => address !== undefined && peer.address === address && !PeersFile.isEnded(peer, now)
  )
  if (here === undefined && other !== undefined)
    return refuse(
      other,
      `another key for ${address}, ${PublicKey.fingerprint(other.publicKey)} as ${other.name}; ` +
        `if the server has got a new one, remove that line first`
    )
  // No peer gets the name of another client, or of a server at another address.
  const taken = peers.filter((peer) =>
    address === undefined ? !isSame(peer) : peer.address !== address
  )
  return Either.right({
    known: here?.name,
    against: (name) =>
      PeerName.isName(name)
        ? taken.some((peer) => peer.name === name)
          ? `${name} is in ${file.path} already, for another`
          : undefined
        : `${excerpt(name)} is no name; a name is ${PeerName.expected}`,
    free: (suggestion) => PeerName.free(suggestion, taken)
  })
}

/** The name of the peer, and whether its line existed already. */
export interface Entered {
  readonly name: string
  readonly before: boolean
}

/** Adds the line, unless the file has the key. */
export const enter = (
  book: Book,
  publicKey: Uint8Array,
  name: string
): Effect.Effect<Entered, PairingUnwritten> =>
  Effect.gen(function* () {
    const { file, address } = book
    const now = yield* Clock.currentTimeMillis
    const line =
      address === undefined
        ? formatAuthorized(publicKey, name)
        : formatKnown(address, publicKey, name)
    return yield* PeerFiles.edit(file.path, file.parse, (text, peers) =>
      // The file may have changed since the name was chosen.
      Either.flatMap(placeIn(book, peers, publicKey, now), ({ known, against }) => {
        const detail = against(name)
        if (known !== undefined)
          return Either.right({ text, result: { name: known, before: true } })
        return detail === undefined
          ? Either.right({ text: PeerEdits.append(text, line), result: { name, before: false } })
          : Either.left(new PeersFile.PeersUnchanged({ detail }))
      })
    ).pipe(
      Effect.mapError(
        ({ message }) => new PairingUnwritten({ file: file.path, line, detail: message })
      )
    )
  })
