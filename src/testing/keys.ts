import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Secret } from "../bytes/Secret.ts"
import { suites } from "../channel/Suite.ts"
import type { KeyKind } from "../keys/KeyKind.ts"
import { generate } from "../keys/KeyPair.ts"
import { KeyStore } from "../keys/KeyStore.ts"
import * as KeyText from "../keys/KeyText.ts"
import type { DialOptions } from "../services/Dial.ts"
import type * as Server from "../services/Server.ts"

/** A store with a fresh key of that kind, in memory. */
export const layerFreshKey = (kind: KeyKind<unknown>): Layer.Layer<KeyStore> =>
  Layer.suspend(() => KeyStore.layerMemory(KeyText.encode(kind, Secret.random(kind.length))))

const [, ik] = suites

/** Two sides that know each other's key. */
export interface MutualKeys {
  /** For `Server.serve` and what is composed from it. */
  readonly server: Server.Keys
  /** For `Client.connect`, `Transfer`, `TunnelClient`; it refuses every other server. */
  readonly client: Pick<DialOptions<never, never>, "keys" | "checkServer">
}

/**
 * Fresh identities for a client and a server, each in the other's list: suite IK.
 *
 * @example
 * const { server, client } = mutualKeys("alice")
 * yield* Effect.forkScoped(Server.serve({ address, keys: server, services: [Messages.service({ ... })], on: () => Effect.void }))
 * const session = yield* Client.connect({ address, ...client })
 */
export const mutualKeys = (name: string): MutualKeys => {
  const [mine, theirs] = [generate(), generate()]
  return {
    server: {
      serverName: "",
      suites: [ik],
      identities: [theirs],
      authorize: (publicKey) =>
        Buffer.compare(publicKey, mine.publicKey) === 0
          ? { name }
          : "it is not in the list of this test"
    },
    client: {
      keys: { serverName: "", suite: ik, identity: mine, serverKey: theirs.publicKey },
      checkServer: () => Effect.void
    }
  }
}
