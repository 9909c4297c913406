// Who is on the other side of a socket: what the handshake proved.
import type { Socket } from "@effect/platform/Socket"
import * as Context from "effect/Context"
import type { Channel } from "../channel/Channel.ts"
import type { Rules } from "../peers/Rules.ts"

/** Who is at the other end, as the channel has proven it. */
export interface PeerShape {
  /** The name its key has here; where it is, when all share one key. */
  readonly name: string
  /** Where it is: `127.0.0.1:51234`. */
  readonly from: string
  /** 32 bytes, in the suites that have one. */
  readonly publicKey: Uint8Array | undefined
  readonly suite: string
  /** What its line in the server's list allows it, now; undefined where there is no list. */
  readonly rules: Rules | undefined
}

/** The peer of the session that is served. SecureRpc gives it to each handler. */
export class Peer extends Context.Tag("sealwire/platform/Peer")<Peer, PeerShape>() {}

export const peerOfChannel = (
  { peer, peerAddress, publicKey, suite }: Channel,
  rules: () => Rules | undefined
): PeerShape => ({
  name: peer,
  from: peerAddress,
  publicKey,
  suite,
  get rules() {
    return rules()
  }
})

const peers = new WeakMap<Socket, PeerShape>()

export const introduce = (socket: Socket, peer: PeerShape): Socket => {
  peers.set(socket, peer)
  return socket
}

/** Who is on the other side of a socket that SecureSocketServer has given; undefined for any other socket. */
export const peerOf = (socket: Socket): PeerShape | undefined => peers.get(socket)
