// Adds a paired peer to a peers file: authorized_peers on the host, known_peers on the joining side.
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as PeerEdits from "../../peers/PeerEdits.ts"
import * as PeerFiles from "../../peers/PeerFiles.ts"
import * as PeerName from "../../peers/PeerName.ts"
import { formatAuthorized, formatKnown, type PeersInvalid } from "../../peers/Peers.ts"
import * as PublicKey from "../../keys/PublicKey.ts"
import { excerpt, shown } from "../../bytes/excerpt.ts"
import * as PeersFile from "./PeersFile.ts"

/** Both sides have confirmed, but the line could not be written on this side. */
export class PairingUnwritten extends Data.TaggedError("PairingUnwritten")<{
  readonly file: string
  readonly line: string
  readonly detail: string
}> {
  override get message(): string {
    return `paired, but not written here: ${this.detail}. Add this line to ${shown(this.file)} by hand: ${this.line}`
  }
}

/** The peers file to which a pairing adds the peer. */
export interface PairingFile {
  readonly file: PeersFile.PeersFile
  /** Address of the server; undefined on the host. */
  readonly address: string | undefined
}

/** The name of a peer in the file, or the names that it may get. */
export interface PeerLookup {
  /** The name of its key, if the file already has it. */
  readonly knownName: string | undefined
  /** Returns why the peer cannot have this name, as a clause; undefined if it can. */
  readonly nameProblem: (name: string) => string | undefined
  /** Makes a suggested name unique. */
  readonly uniqueName: (suggestion: string) => string
}

/**
 * Looks the peer up. Fails if its key is revoked or has expired, and if the server's address is
 * pinned to another key: a pairing must not undo either.
 */
export const find = (
  pairingFile: PairingFile,
  publicKey: Uint8Array
): Effect.Effect<PeerLookup, PeersFile.PeersUnchanged | PeersInvalid> =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    return yield* lookUpIn(pairingFile, yield* PeersFile.read(pairingFile.file), publicKey, now)
  })

const lookUpIn = (
  { file, address }: PairingFile,
  peers: ReadonlyArray<PeersFile.PeerEntry>,
  publicKey: Uint8Array,
  now: number
): Either.Either<PeerLookup, PeersFile.PeersUnchanged> => {
  const refuse = (peer: PeersFile.PeerEntry, conflict: string) =>
    Either.left(
      new PeersFile.PeersUnchanged({ detail: `${shown(file.path)}:${peer.line} has ${conflict}` })
    )
  const isSame = (peer: PeersFile.PeerEntry) => Buffer.compare(peer.publicKey, publicKey) === 0
  const same = peers.filter(isSame)
  const ended = same.find(
    (peer) => peer.revoked || (peer.address === address && PeersFile.isEnded(peer, now))
  )
  if (ended !== undefined)
    return refuse(
      ended,
      `this key, ${PeersFile.stateOf(ended, now)}, as ${ended.name}; remove that line first`
    )
  const here = same.find((peer) => peer.address === address)
  const other = peers.find(
    (peer) => address !== undefined && peer.address === address && !PeersFile.isEnded(peer, now)
  )
  if (here === undefined && other !== undefined)
    return refuse(
      other,
      `another key for ${address}, ${PublicKey.fingerprint(other.publicKey)} as ${other.name}; ` +
        `if the server has a new key, remove that line first`
    )
  // No peer gets the name of another client, or of a server at another address.
  const taken = peers.filter((peer) =>
    address === undefined ? !isSame(peer) : peer.address !== address
  )
  return Either.right({
    knownName: here?.name,
    nameProblem: (name) =>
      PeerName.isName(name)
        ? taken.some((peer) => peer.name === name)
          ? `${shown(file.path)} already has another peer named ${name}`
          : undefined
        : `${excerpt(name)} is not a valid name; a name is ${PeerName.expected}`,
    uniqueName: (suggestion) => PeerName.free(suggestion, taken)
  })
}

/** The name of the peer, and whether its line existed already. */
export interface Added {
  readonly name: string
  readonly existed: boolean
}

/** Adds the line, unless the file has the key. */
export const add = (
  pairingFile: PairingFile,
  publicKey: Uint8Array,
  name: string
): Effect.Effect<Added, PairingUnwritten> =>
  Effect.gen(function* () {
    const { file, address } = pairingFile
    const now = yield* Clock.currentTimeMillis
    const line =
      address === undefined
        ? formatAuthorized(publicKey, name)
        : formatKnown(address, publicKey, name)
    return yield* PeerFiles.edit(file.path, file.parse, (text, peers) =>
      // The file may have changed since the name was chosen.
      Either.flatMap(lookUpIn(pairingFile, peers, publicKey, now), (lookup) => {
        if (lookup.knownName !== undefined)
          return Either.right({ text, result: { name: lookup.knownName, existed: true } })
        const detail = lookup.nameProblem(name)
        return detail === undefined
          ? Either.right({ text: PeerEdits.append(text, line), result: { name, existed: false } })
          : Either.left(new PeersFile.PeersUnchanged({ detail }))
      })
    ).pipe(
      Effect.mapError(
        ({ message }) => new PairingUnwritten({ file: file.path, line, detail: message })
      )
    )
  })
