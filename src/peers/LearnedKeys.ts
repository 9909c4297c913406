// Records the keys that a server announces to a client. PEERS.md section 5 has the states of a
// pin and their transitions.
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as UtcDate from "../keys/UtcDate.ts"
import * as Address from "../transports/Address.ts"
import * as PeerEdits from "./PeerEdits.ts"
import * as PeerFiles from "./PeerFiles.ts"
import type { PeersBusy } from "./PeerLock.ts"
import { formatKnown, parseKnown, type KnownPeer, type PeersInvalid } from "./Peers.ts"
import * as Pin from "./Pin.ts"
import { withdrawnBy } from "./withdrawnBy.ts"

/** A long-term public key of a server, as the server announces it. */
export interface ServerKey {
  readonly publicKey: Uint8Array
  /** Time at which the server stops using the key: milliseconds since 1970, whole seconds. */
  readonly retires?: number
}

/** An address gets keys from announcements up to this number of lines. The user may add more. */
const maxLearnedKeys = 16

/** The changes that `learn` made to known_peers. */
export interface Learned {
  readonly address: string
  readonly name: string
  /** Keys that are valid now and were not before. */
  readonly added: ReadonlyArray<ServerKey>
  /** Known keys that got another retirement date, or one for the first time. */
  readonly retiring: ReadonlyArray<ServerKey>
  /** Known keys that are retired now, because the server announced its keys without them. */
  readonly retired: ReadonlyArray<ServerKey>
  /**
   * Valid keys that are missing in the set of a server that showed a retiring key. Nothing was
   * changed: either they are a thief's, or the retiring key is in the hands of one.
   */
  readonly disputed: ReadonlyArray<ServerKey>
  /** Number of announced keys that were not added. */
  readonly left: number
  /** Reason: the address has the maximum number of keys, or the server showed a retiring key. */
  readonly because: "full" | "retiring"
  readonly file: string
}

/**
 * Records the keys that a server announces, all of which it has proven, under the key `shown` of
 * the handshake. The set is complete: keys of this server that are not in it are retired at once.
 * Lines that an announcement adds have the option `announced`; it may change them in every way. In
 * lines without it, an announcement only moves dates to earlier.
 *
 * A key whose pin has a retirement date announces nothing but an earlier date of its own: otherwise
 * the holder of a stolen key could stay trusted for ever, or lock the real server out. A revoked
 * key stays revoked.
 *
 * Returns undefined if there was nothing to change or to report. The file is locked only for a
 * change.
 *
 * @example
 * const learned = yield* KnownPeers.learn("./known_peers", "mail.example:8080", shown, announced)
 */
export const learn = (
  file: string,
  given: string,
  shown: Uint8Array,
  keys: ReadonlyArray<ServerKey>
): Effect.Effect<Learned | undefined, PeersInvalid | PeersBusy> =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const address = Address.canonicalText(given)
    const changesOf = (peers: ReadonlyArray<KnownPeer>) =>
      changesFrom(peers, address, shown, keys, now)
    const read = yield* PeerFiles.read(file)
    const expected = changesOf(yield* parseKnown(file, read))
    if (expected === undefined) return undefined
    const { edit: change, ...unchanged } = expected
    if (change === undefined) return { address, file, ...unchanged }
    return yield* PeerFiles.edit(file, parseKnown, (text, peers) => {
      const changes = changesOf(peers)
      if (changes === undefined) return Either.right({ text, result: undefined })
      const { edit, ...result } = changes
      return Either.right({ text: edit?.(text) ?? text, result: { address, file, ...result } })
    })
  })

interface Changes extends Omit<Learned, "address" | "file"> {
  /** Undefined for changes that are only reported. */
  readonly edit: ((text: string) => string) | undefined
}

/** Returns the changes that an announcement leads to; undefined if there are none. */
const changesFrom = (
  peers: ReadonlyArray<KnownPeer>,
  address: string,
  shown: Uint8Array,
  announced: ReadonlyArray<ServerKey>,
  now: number
): Changes | undefined => {
  const [witness, ...copies] = peers.filter(
    (peer) => peer.address === address && isSame(peer.publicKey, shown)
  )
  if (witness === undefined || withdrawnBy(peers, address, shown, now) !== undefined)
    return undefined
  const { name } = witness
  // A key whose date has passed by the clock of this machine is as one that is missing.
  const keys = announced.filter(({ retires = Infinity }) => retires > now)
  const isUnknown = ({ publicKey }: ServerKey) =>
    !peers.some(
      (peer) => isSame(peer.publicKey, publicKey) && (peer.pin.revoked || peer.address === address)
    )
  const unknown = keys.filter(isUnknown)
  const lines = peers.filter(
    (peer) => peer.address === address && peer.name === name && !peer.pin.revoked
  )
  if ([witness, ...copies].some(({ pin }) => pin.retires !== undefined)) {
    const own = keys.find(({ publicKey }) => isSame(publicKey, shown))
    const dated = [witness, ...copies].flatMap((line) => earlier(line, own))
    const disputed = lines.filter(
      ({ publicKey }) =>
        withdrawnBy(peers, address, publicKey, now) === undefined &&
        !isSame(publicKey, shown) &&
        !announced.some((key) => isSame(key.publicKey, publicKey))
    )
    const left = unknown.length
    const decision = { address, name, dated, added: [], removed: [], disputed, left }
    return changes(decision, "retiring", now)
  }
  const dated = lines.flatMap((line): ReadonlyArray<Dated> => {
    const key = keys.find(({ publicKey }) => isSame(publicKey, line.publicKey))
    if (key === undefined)
      return Pin.refusal(line.pin, now) === undefined
        ? [{ line, retires: Math.floor(now / 1000) * 1000 }]
        : []
    if (!line.pin.announced) return earlier(line, key)
    return key.retires === line.pin.retires ? [] : [{ line, retires: key.retires }]
  })
  const { added, removed } = fit(peers, address, lines, unknown, announced, now)
  const left = unknown.length - added.length
  return changes({ address, name, dated, added, removed, disputed: [], left }, "full", now)
}

/** A line, and the retirement date that it gets; undefined for none. */
interface Dated {
  readonly line: KnownPeer
  readonly retires: number | undefined
}

/** The announced date of a key, if it is earlier than that of its line. */
const earlier = (line: KnownPeer, key: ServerKey | undefined): ReadonlyArray<Dated> =>
  key?.retires !== undefined && key.retires < (line.pin.retires ?? Infinity)
    ? [{ line, retires: key.retires }]
    : []

/**
 * Selects the unknown keys for which there is a place, and the lines that make place: of retired
 * keys that an announcement had added, the oldest first. A thief who announces key after key
 * cannot fill the file with them.
 */
const fit = (
  peers: ReadonlyArray<KnownPeer>,
  address: string,
  lines: ReadonlyArray<KnownPeer>,
  unknown: ReadonlyArray<ServerKey>,
  announced: ReadonlyArray<ServerKey>,
  now: number
) => {
  const free = maxLearnedKeys - peers.filter((peer) => peer.address === address).length
  const stale = lines.filter(
    ({ pin, publicKey }) =>
      pin.announced &&
      Pin.refusal(pin, now) !== undefined &&
      !announced.some((key) => isSame(key.publicKey, publicKey))
  )
  const removed = stale.slice(0, Math.max(0, unknown.length - free))
  return { removed, added: unknown.slice(0, Math.max(0, free + removed.length)) }
}

interface Decision {
  readonly address: string
  readonly name: string
  readonly dated: ReadonlyArray<Dated>
  readonly added: ReadonlyArray<ServerKey>
  readonly removed: ReadonlyArray<KnownPeer>
  readonly disputed: ReadonlyArray<KnownPeer>
  readonly left: number
}

/** Describes the decision for the user, and as an edit of the file. */
const changes = (
  { address, name, dated, added, removed, disputed, left }: Decision,
  because: Learned["because"],
  now: number
): Changes | undefined => {
  if (dated.length + added.length + disputed.length + left === 0) return undefined
  const keyOf = ({ line: { publicKey }, retires }: Dated): ServerKey =>
    retires === undefined ? { publicKey } : { publicKey, retires }
  const retired = dated.filter(({ retires = Infinity }) => retires <= now)
  const restored = dated.filter(
    ({ line: { pin }, retires = Infinity }) => retires > now && Pin.refusal(pin, now) !== undefined
  )
  const retiring = dated.filter((one) => !retired.includes(one) && !restored.includes(one))
  return {
    name,
    added: [...restored.map(keyOf), ...added],
    retiring: retiring.map(keyOf),
    retired: retired.map(keyOf),
    disputed: disputed.map(({ publicKey, pin: { retires } }) =>
      retires === undefined ? { publicKey } : { publicKey, retires }
    ),
    left,
    because,
    edit: dated.length + added.length === 0 ? undefined : edit
  }

  function edit(text: string): string {
    const redated = dated.reduce(
      (edited, { line: { line }, retires }) =>
        retires === undefined
          ? PeerEdits.removeOption(edited, line, Pin.retiring.name)
          : PeerEdits.retire(edited, line, UtcDate.format(retires)),
      text
    )
    const lines = removed.map(({ line }) => line)
    const shortened = lines.length === 0 ? redated : PeerEdits.remove(redated, lines)
    return added.reduce(
      (edited, key) => PeerEdits.append(edited, lineOf(address, name, key)),
      shortened
    )
  }
}

const lineOf = (address: string, name: string, { publicKey, ...dates }: ServerKey): string =>
  formatKnown(address, publicKey, name, Pin.format({ ...dates, announced: true }).join(","))

const isSame = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0
