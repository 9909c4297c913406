// The authenticated peer of a socket.
import type { Socket } from "@effect/platform/Socket"
import * as Context from "effect/Context"
import type { Channel } from "../channel/Channel.ts"
import type { Rules } from "../peers/Rules.ts"
import type { SessionMemory } from "../services/PeerBudgets.ts"

/** The peer, as the handshake has authenticated it. */
export interface PeerShape {
  /** The name of its key here; its address when all peers share one key. */
  readonly name: string
  /** Its address: `127.0.0.1:51234`. */
  readonly from: string
  /** 32 bytes; undefined in suites without identities. */
  readonly publicKey: Uint8Array | undefined
  readonly suite: string
  /** Its current rules in the server's list of peers; undefined without a list. */
  readonly rules: Rules | undefined
}

/** The peer of the current call. SecureRpc provides it to each handler. */
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

const memories = new WeakMap<Socket, SessionMemory>()

/** Sets the results of `peerOf` and `memoryOf` for this socket. */
export const setPeer = (socket: Socket, peer: PeerShape, memory: SessionMemory): Socket => {
  peers.set(socket, peer)
  memories.set(socket, memory)
  return socket
}

/** Returns the memory of the peer's session; undefined as for `peerOf`. */
export const memoryOf = (socket: Socket): SessionMemory | undefined => memories.get(socket)

/** Returns the peer of a socket of SecureSocketServer; undefined for any other socket. */
export const peerOf = (socket: Socket): PeerShape | undefined => peers.get(socket)
