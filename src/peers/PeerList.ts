import type { AuthorizedPeer } from "./Peers.ts"

/** The clients of authorized_peers, indexed by key. */
export class PeerList {
  readonly all: ReadonlyArray<AuthorizedPeer>
  readonly #byKey: ReadonlyMap<string, AuthorizedPeer>

  constructor(all: ReadonlyArray<AuthorizedPeer>) {
    this.all = all
    this.#byKey = new Map(all.map((peer) => [indexOf(peer.publicKey), peer]))
  }

  /** Returns the client with this key; `Rules.refusal` decides whether it may connect. */
  find(publicKey: Uint8Array): AuthorizedPeer | undefined {
    return this.#byKey.get(indexOf(publicKey))
  }

  /** Number of keys. */
  get size(): number {
    return this.all.length
  }
}

const indexOf = (key: Uint8Array): string =>
  Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1")
