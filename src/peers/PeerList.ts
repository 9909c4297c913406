import * as Effect from "effect/Effect"
import { atOnce, inTurns, itemsPerTurn, type Steps } from "./inTurns.ts"
import type { AuthorizedPeer } from "./Peers.ts"

/** The clients of authorized_peers, indexed by key. */
export class PeerList {
  readonly all: ReadonlyArray<AuthorizedPeer>
  readonly #index: Index

  constructor(all: ReadonlyArray<AuthorizedPeer>, index: Index = atOnce(indexSteps(all))) {
    this.all = all
    this.#index = index
  }

  /** Makes a list in turns of the event loop, for a server, whose other work goes on. */
  static inTurns(all: ReadonlyArray<AuthorizedPeer>): Effect.Effect<PeerList> {
    return Effect.map(
      inTurns(() => indexSteps(all)),
      (index) => new PeerList(all, index)
    )
  }

  /** Returns the client with this key; `Rules.refusal` decides whether it may connect. */
  find(publicKey: Uint8Array): AuthorizedPeer | undefined {
    return this.#index.byKey.get(textOf(publicKey))
  }

  /** True if a client in the list has this name. */
  hasName(name: string): boolean {
    return this.#index.names.has(name)
  }

  /** Number of keys. */
  get size(): number {
    return this.all.length
  }
}

interface Index {
  readonly byKey: ReadonlyMap<string, AuthorizedPeer>
  readonly names: ReadonlySet<string>
}

function* indexSteps(all: ReadonlyArray<AuthorizedPeer>): Steps<Index> {
  const byKey = new Map<string, AuthorizedPeer>()
  const names = new Set<string>()
  for (const [index, peer] of all.entries()) {
    if (index % itemsPerTurn === itemsPerTurn - 1) yield
    byKey.set(textOf(peer.publicKey), peer)
    names.add(peer.name)
  }
  return { byKey, names }
}

const textOf = (key: Uint8Array): string =>
  Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1")
