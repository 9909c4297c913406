import type { KnownPeer } from "./Peers.ts"
import * as Pin from "./Pin.ts"

/**
 * Returns the line of known_peers that makes a key invalid at an address: one that revokes it, at
 * whichever address, or one of this address with a date that has passed. Of several lines of one
 * key the strictest counts.
 */
export const withdrawnBy = (
  peers: ReadonlyArray<KnownPeer>,
  address: string,
  publicKey: Uint8Array,
  now: number
): KnownPeer | undefined =>
  peers.find(
    (peer) =>
      Buffer.compare(peer.publicKey, publicKey) === 0 &&
      (peer.pin.revoked || (peer.address === address && Pin.refusal(peer.pin, now) !== undefined))
  )
