// A partner that was paired with becomes a line: at the host of authorized_peers, at the one who joined of known_peers.
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

/** Both sides have confirmed, and the other has its line; this side's could not be written. */
export class PairingUnwritten extends Data.TaggedError("PairingUnwritten")<{
  readonly file: string
  readonly line: string
  readonly detail: string
}> {
  override get message(): string {
    return `paired, but not written here: ${this.detail}. Add this line to ${this.file} by hand: ${this.line}`
  }
}

/** Where the partner goes. */
export interface Book {
  readonly file: PeersFile.PeersFile
  /** Under which a server is known; undefined at the host. */
  readonly address: string | undefined
}

/** How the partner stands in the book already, or may. */
export interface Place {
  /** The name that its key has there; nothing needs to be written. */
  readonly known: string | undefined
  /** What speaks against that name for it, as a clause; undefined when nothing does. */
  readonly against: (name: string) => string | undefined
  /** The suggestion, made new. */
  readonly free: (suggestion: string) => string
}

/** Refused where the key is revoked or has ended, and where the server's address is known by another key: no pairing undoes that. */
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
  // No partner gets the name of another: of a client's key, of a server at another address.
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

/** The name that the partner has from now on, and whether it stood there before. */
export interface Entered {
  readonly name: string
  readonly before: boolean
}

/** Writes the line, unless the key is there. */
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
      // Somebody may have changed it since the name was chosen.
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
