// The server's key as the client knows it: known_peers. DESIGN section 6.
import path from "node:path"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { ServerKeyChanged } from "../channel/ChannelErrors.ts"
import * as PeerFiles from "../keys/PeerFiles.ts"
import { formatKnown, isName, parseKnown, PeersInvalid, type KnownPeer } from "../keys/Peers.ts"
import * as PublicKey from "../keys/PublicKey.ts"
import * as Address from "../transports/Address.ts"
import { inConfig } from "./options.ts"

/** Nothing says which key the server has. */
export class ServerUnknown extends Data.TaggedError("ServerUnknown")<{ readonly wanted: string; readonly file: string }> {
  override get message(): string {
    return (
      `no key is known for ${this.wanted} (${this.file}); give it with --peer sealwire1…, as sealwire pubkey shows it there, ` +
      `or take the one it shows with --accept-new`
    )
  }
}

const file = (): string => inConfig("known_peers")

const all = Effect.suspend(() => Effect.flatMap(PeerFiles.read(file()), (text) => parseKnown(file(), text)))

/** The address under which a server is known: a socket by its whole path, wherever one stands. */
export const addressOf = (address: Address.Address): string =>
  Address.format(address._tag === "Unix" ? Address.unix(path.resolve(address.path)) : address)

/**
 * The key to expect: `--peer` as a key or a name, else what is pinned for the address. Undefined at a first contact
 * that `acceptNew` allows.
 */
export const lookUp = (
  address: string,
  peer: string | undefined,
  acceptNew: boolean
): Effect.Effect<KnownPeer | undefined, PeersInvalid | ServerUnknown> =>
  Effect.gen(function* () {
    const publicKey = peer === undefined ? undefined : PublicKey.decode(peer)
    if (publicKey !== undefined) return { address, publicKey, name: address, line: 0 }
    const peers = yield* all
    const found = peers.find((known) => (peer === undefined ? known.address === address : known.name === peer))
    if (found !== undefined) return found
    if (peer === undefined && acceptNew) return undefined
    return yield* new ServerUnknown({ wanted: peer ?? address, file: file() })
  })

/** Remembers the key that was offered at first contact, under a name made of the address. */
export const pin = (address: string, publicKey: Uint8Array) =>
  Effect.gen(function* () {
    // One line, three words: a path with a space in it would take the whole file along.
    if (/\s/.test(address))
      return yield* new PeersInvalid({
        file: file(),
        line: 0,
        detail: "an address with a space in it cannot be pinned; name the key with --peer"
      })
    const name = nameOf(address)
    yield* PeerFiles.append(file(), formatKnown({ address, publicKey, name }))
    return { address, name, publicKey, file: file() }
  })

/** What a server that was known by another key is refused with; undefined when it has that key, or none was seen. */
export const changed = (known: KnownPeer, offered: Uint8Array | undefined): ServerKeyChanged | undefined =>
  offered === undefined || Buffer.compare(offered, known.publicKey) === 0
    ? undefined
    : new ServerKeyChanged({
        address: known.address,
        expected: PublicKey.fingerprint(known.publicKey),
        offered: PublicKey.fingerprint(offered),
        where: known.line === 0 ? "--peer" : `${file()}:${known.line}`
      })

const nameOf = (address: string): string => {
  const name = address
    .replace(/[^\p{L}\p{N}._@-]+/gu, "-")
    .replace(/^[^\p{L}\p{N}]+/u, "")
    .slice(0, 64)
  return isName(name) ? name : "server"
}
