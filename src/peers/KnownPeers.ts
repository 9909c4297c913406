// Trust on first use: the server keys that this client knows, in a known_peers file. PEERS.md.
import { shown } from "../bytes/excerpt.ts"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as PublicKey from "../keys/PublicKey.ts"
import * as Address from "../transports/Address.ts"
import * as PeerEdits from "./PeerEdits.ts"
import { ServerKeyChanged, ServerKeyWithdrawn, ServerUnknown } from "./PeerErrors.ts"
import * as PeerFiles from "./PeerFiles.ts"
import type { PeersBusy } from "./PeerLock.ts"
import * as PeerName from "./PeerName.ts"
import { formatKnown, parseKnown, PeersInvalid, type KnownPeer } from "./Peers.ts"
import * as Pin from "./Pin.ts"
import { withdrawnBy } from "./withdrawnBy.ts"

const load = (file: string): Effect.Effect<ReadonlyArray<KnownPeer>, PeersInvalid> =>
  Effect.flatMap(PeerFiles.read(file), (text) => parseKnown(file, text))

/**
 * Formats the address under which known_peers lists a server: every spelling of one address gives
 * the same text.
 */
export const addressOf = Address.canonical

/** The server that `lookUp` looks for. */
export interface LookUp {
  /** The address, in any spelling. */
  readonly address: string
  /** A public key (sealwire1…), or a name in the file. Default: the keys pinned for the address. */
  readonly peer?: string | undefined
  /** True if a server without a pinned key is acceptable; `pin` then remembers its key. */
  readonly acceptNew?: boolean
}

/**
 * Returns the keys to expect from a server: keys without an end first, then those that retire
 * last. Retired and revoked keys are left out. The result is empty only for a first contact that
 * `acceptNew` allows. Fails with `ServerUnknown` if no valid key is known, and with
 * `ServerKeyWithdrawn` if `peer` is a revoked key.
 *
 * @example
 * const keys = yield* KnownPeers.lookUp("./known_peers", { address: "mail.example:8080" })
 */
export const lookUp = (
  file: string,
  { address: given, peer, acceptNew = false }: LookUp
): Effect.Effect<ReadonlyArray<KnownPeer>, PeersInvalid | ServerUnknown | ServerKeyWithdrawn> =>
  Effect.gen(function* () {
    const peers = yield* load(file)
    const address = Address.canonicalText(given)
    const now = yield* Clock.currentTimeMillis
    const publicKey = peer === undefined ? undefined : PublicKey.decode(peer)
    if (publicKey !== undefined) {
      const revoked = peers.find((known) => known.pin.revoked && isSame(known.publicKey, publicKey))
      if (revoked !== undefined) return yield* withdrawnError(file, address, revoked, now)
      return [{ address, publicKey, name: address, pin: {}, line: 0 }]
    }
    const listed = peers.filter((known) =>
      peer === undefined ? known.address === address : known.name === peer
    )
    const valid = validOf(peers, listed, now)
    if (valid.length === 0 && (peer !== undefined || !acceptNew))
      return yield* new ServerUnknown({ wanted: peer ?? address, file, withdrawn: listed })
    const end = ({ pin }: KnownPeer) => pin.retires ?? Number.MAX_VALUE
    return valid.toSorted((one, other) => end(other) - end(one))
  })

/** The valid lines, one for each key. */
const validOf = (
  peers: ReadonlyArray<KnownPeer>,
  lines: ReadonlyArray<KnownPeer>,
  now: number
): ReadonlyArray<KnownPeer> =>
  lines.filter(
    ({ address, publicKey }, index) =>
      withdrawnBy(peers, address, publicKey, now) === undefined &&
      lines.findIndex((other) => isSame(other.publicKey, publicKey)) === index
  )

/**
 * Returns the first line for an address, even if its key is retired or revoked: a client that has
 * pinned a server must not fall back to a shared key by accident.
 */
export const find = (
  file: string,
  address: string
): Effect.Effect<KnownPeer | undefined, PeersInvalid> =>
  Effect.map(load(file), (peers) =>
    peers.find((known) => known.address === Address.canonicalText(address))
  )

/** Formats the source of a known key for errors: `known_peers:3`, or `given` for `LookUp.peer`. */
export const sourceOf = (file: string, { line }: KnownPeer): string =>
  line === 0 ? "given" : `${shown(file)}:${line}`

/**
 * Returns true if a known_peers line can hold the address. Whitespace would break the line into
 * more words and make the whole file invalid; a leading # would make it a comment.
 */
export const isPinnable = (address: string): boolean => !/\s|^#/.test(address)

/** A key that `pin` remembered. */
export interface Pinned {
  readonly address: string
  readonly name: string
  readonly publicKey: Uint8Array
  readonly file: string
}

type PinRefused = ServerKeyChanged | ServerKeyWithdrawn

/**
 * Checks that a key may be pinned for an address. Writes nothing, because the server has not
 * proven yet that it holds the key.
 */
export const checkPinnable = (
  file: string,
  address: string,
  publicKey: Uint8Array
): Effect.Effect<void, PeersInvalid | PinRefused> =>
  Effect.gen(function* () {
    yield* checkAddress(file, address)
    const now = yield* Clock.currentTimeMillis
    yield* evaluate(file, yield* load(file), Address.canonicalText(address), publicKey, now)
  })

/**
 * Pins the key of a server at first contact, under a name made from the address. A key that is
 * pinned already is not written twice. Fails with `ServerKeyChanged` if the address has another
 * valid key, and with `ServerKeyWithdrawn` if the key is retired or revoked. Call it only after
 * the server has proven that it holds the key.
 *
 * @example
 * yield* KnownPeers.pin("./known_peers", "mail.example:8080", publicKey)
 */
export const pin = (
  file: string,
  given: string,
  publicKey: Uint8Array
): Effect.Effect<Pinned, PeersInvalid | PeersBusy | PinRefused> =>
  Effect.gen(function* () {
    const address = Address.canonicalText(given)
    yield* checkAddress(file, address)
    const now = yield* Clock.currentTimeMillis
    return yield* PeerFiles.edit(file, parseKnown, (text, peers) =>
      Either.map(evaluate(file, peers, address, publicKey, now), ({ name, isPinned }) => ({
        text: isPinned ? text : PeerEdits.append(text, formatKnown(address, publicKey, name)),
        result: { address, name, publicKey, file }
      }))
    )
  })

/** Finds the name for an offered key. Another process may have pinned the address meanwhile. */
const evaluate = (
  file: string,
  peers: ReadonlyArray<KnownPeer>,
  address: string,
  publicKey: Uint8Array,
  now: number
): Either.Either<{ readonly name: string; readonly isPinned: boolean }, PinRefused> => {
  const withdrawn = findWithdrawn(file, peers, address, publicKey, now)
  if (withdrawn !== undefined) return Either.left(withdrawn)
  const listed = peers.filter((peer) => peer.address === address)
  const valid = validOf(peers, listed, now)
  const pinned = valid.find((known) => isSame(known.publicKey, publicKey))
  const other = pinned === undefined ? valid[0] : undefined
  if (other !== undefined) return Either.left(changedError(file, other, publicKey))
  const name =
    pinned?.name ?? listed[0]?.name ?? PeerName.free(PeerName.of(address, "server"), peers)
  return Either.right({ name, isPinned: pinned !== undefined })
}

const checkAddress = (file: string, address: string): Effect.Effect<void, PeersInvalid> =>
  isPinnable(address)
    ? Effect.void
    : new PeersInvalid({
        file,
        line: 0,
        column: 0,
        detail:
          "an address that contains whitespace or begins with # cannot be pinned; give the server's public key instead"
      })

/**
 * Explains why a server that offered `offered` has none of the expected keys. Undefined if it has
 * one of them, or offered none.
 */
export const difference = (
  file: string,
  address: string,
  expected: readonly [KnownPeer, ...ReadonlyArray<KnownPeer>],
  offered: Uint8Array | undefined
): Effect.Effect<ServerKeyChanged | ServerKeyWithdrawn | undefined, PeersInvalid> =>
  Effect.gen(function* () {
    if (offered === undefined || expected.some((known) => isSame(known.publicKey, offered)))
      return undefined
    const now = yield* Clock.currentTimeMillis
    const peers = yield* load(file)
    const withdrawn = findWithdrawn(file, peers, Address.canonicalText(address), offered, now)
    return withdrawn ?? changedError(file, expected[0], offered)
  })

export { learn, type Learned, type ServerKey } from "./LearnedKeys.ts"

const isSame = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0

const changedError = (file: string, known: KnownPeer, offered: Uint8Array): ServerKeyChanged =>
  new ServerKeyChanged({
    address: known.address,
    expected: PublicKey.fingerprint(known.publicKey),
    offered: PublicKey.fingerprint(offered),
    where: sourceOf(file, known)
  })

/** The error for a key that is revoked at any address, or retired at this one. */
const findWithdrawn = (
  file: string,
  peers: ReadonlyArray<KnownPeer>,
  address: string,
  publicKey: Uint8Array,
  now: number
): ServerKeyWithdrawn | undefined => {
  const found = withdrawnBy(peers, address, publicKey, now)
  return found === undefined ? undefined : withdrawnError(file, address, found, now)
}

const withdrawnError = (
  file: string,
  address: string,
  { publicKey, pin, line }: KnownPeer,
  now: number
): ServerKeyWithdrawn =>
  new ServerKeyWithdrawn({
    address,
    fingerprint: PublicKey.fingerprint(publicKey),
    reason: Pin.refusal(pin, now) ?? "withdrawn",
    where: `${shown(file)}:${line}`
  })
