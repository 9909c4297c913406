import type { AuthorizedPeer } from "./Peers.ts"

/** A parsed authorized_peers: who has which key, by one look for each handshake. */
export class PeerList {
  readonly all: ReadonlyArray<AuthorizedPeer>
  readonly #byKey: ReadonlyMap<string, AuthorizedPeer>

  constructor(all: ReadonlyArray<AuthorizedPeer>) {
    this.all = all
    this.#byKey = new Map(all.map((peer) => [indexOf(peer.publicKey), peer]))
  }

  /** The peer that has this key; whether it may come in, `Rules.refusal` says. */
  find(publicKey: Uint8Array): AuthorizedPeer | undefined {
    return this.#byKey.get(indexOf(publicKey))
  }

  /** How many keys there are. */
  get size(): number {
    return this.all.length
  }
}

const indexOf = (key: Uint8Array): string =>
  Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1")
