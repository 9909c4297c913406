import * as Layer from "effect/Layer"
import { Secret } from "../bytes/Secret.ts"
import type { PinnedServer } from "../channel/ClientKeys.ts"
import { suiteNamed } from "../channel/Suite.ts"
import type { KeyKind } from "../keys/KeyKind.ts"
import { generate } from "../keys/KeyPair.ts"
import { KeyStore } from "../keys/KeyStore.ts"
import * as KeyText from "../keys/KeyText.ts"
import type { PrologueFields, ServerKeys } from "../channel/HandshakeKeys.ts"

/** A key store in memory with a new random key of the kind. */
export const layerFreshKey = (kind: KeyKind<unknown>): Layer.Layer<KeyStore> =>
  Layer.suspend(() => KeyStore.layerMemory(KeyText.encode(kind, Secret.random(kind.length))))

const ik = suiteNamed("IK")

/** The keys of a client and a server that have each other's public key. */
export interface MutualKeys {
  /** For `Server.listen`. */
  readonly server: Omit<ServerKeys, "application">
  /** For `MessageClient`, `FileClient` and `TunnelClient`; it rejects every other server. */
  readonly client: { readonly keys: PinnedServer & Pick<PrologueFields, "serverName"> }
}

/**
 * Makes new identities of a client, with its name, and a server, for suite IK.
 *
 * @example
 * const { server, client } = mutualKeys("alice")
 * yield* Server.listen({ address, keys: server, services: [MessageService.service(print)] })
 * const session = yield* MessageClient.connect({ address, ...client })
 */
export const mutualKeys = (name: string): MutualKeys => {
  const [client, server] = [generate(), generate()]
  return {
    server: {
      serverName: "",
      suites: [ik],
      identities: [server],
      authorize: (publicKey) =>
        Buffer.compare(publicKey, client.publicKey) === 0
          ? { name }
          : "its key is not authorized in this test"
    },
    client: {
      keys: { serverName: "", identity: client, serverKey: server.publicKey }
    }
  }
}
