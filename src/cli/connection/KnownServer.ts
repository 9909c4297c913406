// The server's keys as the client knows them: known_peers. DESIGN section 6.
import path from "node:path"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { ServerKeyChanged } from "../../channel/ChannelErrors.ts"
import * as UtcDate from "../../keys/UtcDate.ts"
import * as OptionSpec from "../../peers/OptionSpec.ts"
import * as PeerEdits from "../../peers/PeerEdits.ts"
import * as PeerFiles from "../../peers/PeerFiles.ts"
import type { PeersBusy } from "../../peers/PeerLock.ts"
import * as PeerName from "../../peers/PeerName.ts"
import { formatKnown, parseKnown, PeersInvalid, type KnownPeer } from "../../peers/Peers.ts"
import * as Pin from "../../peers/Pin.ts"
import * as PublicKey from "../../keys/PublicKey.ts"
import type { ServerKey } from "../../services/KeyAnnouncement.ts"
import * as Address from "../../transports/Address.ts"
import { identityFile, configPath, sharedKeyFile } from "../arguments/options.ts"

/** Nothing says which key the server has. */
export class ServerUnknown extends Data.TaggedError("ServerUnknown")<{
  readonly wanted: string
  readonly file: string
  /** The keys that stand there and are not believed any more. */
  readonly withdrawn: ReadonlyArray<KnownPeer>
}> {
  override get message(): string {
    const where =
      this.withdrawn.length === 0
        ? this.file
        : `retired or revoked: ${this.withdrawn.map(({ line }) => `${this.file}:${line}`).join(", ")}`
    return (
      `no key is known for ${this.wanted} (${where}); give it with --peer sealwire1…, as sealwire pubkey shows it there, ` +
      `or take the one it shows with --accept-new`
    )
  }
}

/** The server has a key that is not to be believed any more. */
export class ServerKeyWithdrawn extends Data.TaggedError("ServerKeyWithdrawn")<{
  readonly address: string
  readonly fingerprint: string
  /** "revoked", "retired 2027-01-01" */
  readonly reason: string
  /** Where that stands: file and line. */
  readonly where: string
}> {
  override get message(): string {
    return (
      `the key of ${this.address}, ${this.fingerprint}, is ${this.reason} (${this.where}); ` +
      `whoever shows it may be somebody who took it. Ask for the key that the server has now`
    )
  }
}

/** The server is known by its key, and this user has no identity to show it. */
export class IdentityNeeded extends Data.TaggedError("IdentityNeeded")<{
  readonly address: string
  /** Where the server's key stands: file and line. */
  readonly where: string
}> {
  override get message(): string {
    return (
      `${this.address} is known by its own key (${this.where}), and there is no identity at ${identityFile()} to show it; ` +
      `make one with sealwire keygen --identity and have sealwire pubkey added there, or use the shared key: --key ${sharedKeyFile}`
    )
  }
}

const file = (): string => configPath("known_peers")

const all = Effect.suspend(() =>
  Effect.flatMap(PeerFiles.read(file()), (text) => parseKnown(file(), text))
)

/** The address under which a server is known: a socket by its whole path, wherever one stands. */
export const addressOf = (address: Address.Address): string =>
  Address.format(address._tag === "Unix" ? Address.unix(path.resolve(address.path)) : address)

/**
 * The keys to expect, the current ones before those that retire: `--peer` as a key or a name, else what is pinned for the address.
 * None at a first contact that `acceptNew` allows.
 */
export const lookUp = (
  address: string,
  peer: string | undefined,
  acceptNew: boolean
): Effect.Effect<ReadonlyArray<KnownPeer>, PeersInvalid | ServerUnknown | ServerKeyWithdrawn> =>
  Effect.gen(function* () {
    const peers = yield* all
    const now = yield* Clock.currentTimeMillis
    const publicKey = peer === undefined ? undefined : PublicKey.decode(peer)
    if (publicKey !== undefined) {
      const withdrawn = peers.find(
        ({ pin, publicKey: key }) => pin.revoked && Buffer.compare(key, publicKey) === 0
      )
      if (withdrawn !== undefined) return yield* withdrawnKey(address, withdrawn, now)
      return [{ address, publicKey, name: address, pin: {}, line: 0 }]
    }
    const standing = peers.filter((known) =>
      peer === undefined ? known.address === address : known.name === peer
    )
    const believed = standing.filter(({ pin }) => Pin.refusal(pin, now) === undefined)
    if (believed.length === 0 && (peer !== undefined || !acceptNew))
      return yield* new ServerUnknown({
        wanted: peer ?? address,
        file: file(),
        withdrawn: standing
      })
    const until = ({ pin }: KnownPeer) => pin.retires ?? Number.MAX_VALUE
    return believed.toSorted((one, other) => until(other) - until(one))
  })

/** The first line that stands for the address, believed or not: who is pinned once is not met with a shared key by chance. */
export const pinned = (address: string): Effect.Effect<KnownPeer | undefined, PeersInvalid> =>
  Effect.map(all, (peers) => peers.find((known) => known.address === address))

/** Where a line stands, for errors. */
export const whereOf = ({ line }: KnownPeer): string =>
  line === 0 ? "--peer" : `${file()}:${line}`

/** One line, three words: a path with a space in it would take the whole file along, and a # make a comment of it. */
export const isPinnable = (address: string): boolean => !/\s|^#/.test(address)

/** What became known at a first contact. */
export interface Pinned {
  readonly address: string
  readonly name: string
  readonly publicKey: Uint8Array
  readonly file: string
}

type Unpinnable = ServerKeyChanged | ServerKeyWithdrawn

/** What a key that is offered at first contact would be known as; another run may have pinned the address meanwhile. */
const judged = (
  peers: ReadonlyArray<KnownPeer>,
  address: string,
  publicKey: Uint8Array,
  now: number
): Either.Either<{ readonly name: string; readonly stands: boolean }, Unpinnable> => {
  const refusal = withdrawnAmong(peers, address, publicKey, now)
  if (refusal !== undefined) return Either.left(refusal)
  const standing = peers.filter((peer) => peer.address === address)
  const believed = standing.filter(({ pin }) => Pin.refusal(pin, now) === undefined)
  const same = believed.find((known) => changed(known, publicKey) === undefined)
  const other = same === undefined ? believed[0] : undefined
  const difference = other === undefined ? undefined : changed(other, publicKey)
  if (difference !== undefined) return Either.left(difference)
  const name =
    same?.name ?? standing[0]?.name ?? PeerName.free(PeerName.of(address, "server"), peers)
  return Either.right({ name, stands: same !== undefined })
}

const checkAddress = (address: string): Effect.Effect<void, PeersInvalid> =>
  isPinnable(address)
    ? Effect.void
    : new PeersInvalid({
        file: file(),
        line: 0,
        column: 0,
        detail:
          "an address with a space in it, or that begins with #, cannot be pinned; name the key with --peer"
      })

/** Whether the key may be remembered for the address. Nothing is written: the server has not proven itself yet. */
export const pinnable = (
  address: string,
  publicKey: Uint8Array
): Effect.Effect<void, PeersInvalid | Unpinnable> =>
  Effect.gen(function* () {
    yield* checkAddress(address)
    yield* judged(yield* all, address, publicKey, yield* Clock.currentTimeMillis)
  })

/**
 * Remembers the key of a server at first contact, under a name made of the address. The same key is not written twice, another one
 * is refused, and so is one that was withdrawn.
 */
export const pin = (
  address: string,
  publicKey: Uint8Array
): Effect.Effect<Pinned, PeersInvalid | PeersBusy | Unpinnable> =>
  Effect.gen(function* () {
    yield* checkAddress(address)
    const now = yield* Clock.currentTimeMillis
    return yield* PeerFiles.edit(file(), parseKnown, (text, peers) =>
      Either.map(judged(peers, address, publicKey, now), ({ name, stands }) => ({
        text: stands ? text : PeerEdits.append(text, formatKnown(address, publicKey, name)),
        result: { address, name, publicKey, file: file() }
      }))
    )
  })

/** What a server that was known by another key is refused with; undefined when it has that key, or none was seen. */
export const changed = (
  known: KnownPeer,
  offered: Uint8Array | undefined
): ServerKeyChanged | undefined =>
  offered === undefined || Buffer.compare(offered, known.publicKey) === 0
    ? undefined
    : new ServerKeyChanged({
        address: known.address,
        expected: PublicKey.fingerprint(known.publicKey),
        offered: PublicKey.fingerprint(offered),
        where: whereOf(known)
      })

/** Why the server that has shown this key is none of those that are known; undefined when it is one of them, or showed none. */
export const difference = (
  address: string,
  known: readonly [KnownPeer, ...ReadonlyArray<KnownPeer>],
  offered: Uint8Array | undefined
): Effect.Effect<ServerKeyChanged | ServerKeyWithdrawn | undefined, PeersInvalid> =>
  Effect.gen(function* () {
    if (offered === undefined || known.some((one) => changed(one, offered) === undefined))
      return undefined
    const now = yield* Clock.currentTimeMillis
    return withdrawnAmong(yield* all, address, offered, now) ?? changed(known[0], offered)
  })

/** How many keys of one server are taken from what it says itself; a person may write more. */
const mostKeys = 16

/** What was learned of a server's keys from itself. */
export interface Learned {
  readonly address: string
  readonly name: string
  readonly added: ReadonlyArray<ServerKey>
  /** Those that were known, and retire now, or sooner than was known. */
  readonly retiring: ReadonlyArray<ServerKey>
  /** How many more were said, and not added. */
  readonly left: number
  /** Why: as many stand there as may, or the server showed a key that retires. */
  readonly because: "full" | "retiring"
  readonly file: string
}

/**
 * Takes over what a server, which has shown one of the keys it is pinned by, says of its keys: those that are not known are added under
 * its name, and those that retire get their date. Nothing else is changed: no key goes, none that was withdrawn comes back, no date
 * moves to later, none that is past is believed, and a server that shows a key that retires, as is known here, adds none and dates
 * no other: whoever has taken an old key could stay for ever, or shut the good one out. Undefined when there was nothing to learn.
 */
export const learn = (
  address: string,
  shown: Uint8Array,
  keys: ReadonlyArray<ServerKey>
): Effect.Effect<Learned | undefined, PeersInvalid | PeersBusy> =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    return yield* PeerFiles.edit(file(), parseKnown, (text, peers) => {
      const standing = peers.filter((peer) => peer.address === address)
      const witness = standing.find(
        ({ pin, publicKey }) => same(publicKey, shown) && Pin.refusal(pin, now) === undefined
      )
      if (witness === undefined) return Either.right({ text, result: undefined })
      // A key that retires itself dates no other: it may be stolen. Nor is a day believed that is past: no server says one.
      const datable = witness.pin.retires === undefined ? standing : [witness]
      const retiring = keys.flatMap(({ publicKey, retires = Infinity }) =>
        datable
          .filter(
            ({ pin, publicKey: key }) =>
              same(key, publicKey) &&
              !pin.revoked &&
              retires > now &&
              retires < (pin.retires ?? Infinity)
          )
          .map(({ line }) => ({ line, publicKey, retires }))
      )
      const unknown = keys.filter(
        ({ publicKey }) =>
          !peers.some(
            (peer) =>
              same(peer.publicKey, publicKey) && (peer.pin.revoked || peer.address === address)
          )
      )
      const because = witness.pin.retires === undefined ? "full" : "retiring"
      const added =
        because === "full" ? unknown.slice(0, Math.max(0, mostKeys - standing.length)) : []
      const { name } = witness
      const dated = retiring.reduce(
        (before, { line, retires }) => PeerEdits.retire(before, line, UtcDate.format(retires)),
        text
      )
      const whole = added.reduce(
        (before, key) => PeerEdits.append(before, lineOf(address, name, key)),
        dated
      )
      const result = {
        address,
        name,
        added,
        retiring,
        left: unknown.length - added.length,
        because,
        file: file()
      } as const
      return Either.right({
        text: whole,
        result: added.length + retiring.length + result.left > 0 ? result : undefined
      })
    })
  })

const lineOf = (address: string, name: string, { publicKey, ...pin }: ServerKey): string =>
  formatKnown(address, publicKey, name, OptionSpec.format(Pin.options, pin).join(","))

const same = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0

/** What a server is refused with that shows a revoked key, whoever had it, or a key of its own that has retired. */
const withdrawnAmong = (
  peers: ReadonlyArray<KnownPeer>,
  address: string,
  publicKey: Uint8Array,
  now: number
): ServerKeyWithdrawn | undefined => {
  const found = peers.find(
    (peer) =>
      Buffer.compare(peer.publicKey, publicKey) === 0 &&
      (peer.pin.revoked || (peer.address === address && Pin.refusal(peer.pin, now) !== undefined))
  )
  return found === undefined ? undefined : withdrawnKey(address, found, now)
}

const withdrawnKey = (
  address: string,
  { publicKey, pin, line }: KnownPeer,
  now: number
): ServerKeyWithdrawn =>
  new ServerKeyWithdrawn({
    address,
    fingerprint: PublicKey.fingerprint(publicKey),
    reason: Pin.refusal(pin, now) ?? "withdrawn",
    where: `${file()}:${line}`
  })
