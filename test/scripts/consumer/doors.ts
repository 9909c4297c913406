// A user's program, compiled against the packed package: every entry point, and types that name
// missing requirements.
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Address, KeyPair, MessageClient, Secret, Transport, type ChannelError } from "sealwire"
import { SecureCluster } from "sealwire/cluster"
import { connect } from "sealwire/node"
import { SqlInbox, SqlOutbox } from "sealwire/sql"
import { Telemetry } from "sealwire/otel"
import { SecureRpc, SecureSocket, SecureSocketServer } from "sealwire/platform"
import { mutualKeys, chaos, cipherLaws, keyStoreLaws, transportLaws } from "sealwire/testing"

const connected = MessageClient.connect({
  address: Address.tcp("127.0.0.1", 8080),
  keys: { serverName: "", psk: Secret.random(32) }
})

/** Handles every error of connecting by its tag: a new error breaks the compilation. */
export const exhausted: Effect.Effect<string, never, Transport | Scope.Scope> = connected.pipe(
  Effect.as("in"),
  Effect.catchTags({
    ConnectFailed: ({ reason }) => Effect.succeed(reason),
    HandshakeFailed: ({ message }) => Effect.succeed(message)
  })
)

/** The database of a program is a requirement, and so is the network of an outbox. */
export const stored: Effect.Effect<void, unknown, SqlInbox | SqlOutbox> = Effect.zipRight(
  SqlOutbox.enqueue([]),
  SqlInbox.consume(() => Effect.void)
)

const at = Address.tcp("127.0.0.1", 8080)
const identity = KeyPair.generate()
const serverKey = KeyPair.generate().publicKey
const anyServer = () => Effect.succeed(true)

/** A program that would believe any server does not compile, and neither does a check of a pinned key. */
export const unchecked = () => [
  // @ts-expect-error nothing authenticates the server
  MessageClient.connect({ address: at, keys: { serverName: "", identity } }),
  // @ts-expect-error nothing authenticates the server
  SecureSocket.layer({ address: at, keys: { serverName: "", identity } }),
  // @ts-expect-error nothing authenticates the server
  SecureRpc.layerClient({ address: at, keys: { serverName: "", identity } }),
  // @ts-expect-error nothing authenticates the server
  connect({ address: at, identity }),
  MessageClient.connect({
    address: at,
    // @ts-expect-error the server's key is known, and there is nothing to check
    keys: { serverName: "", identity, serverKey, checkServer: anyServer }
  }),
  MessageClient.connect({
    address: at,
    // @ts-expect-error the shared key authenticates the server, and there is nothing to check
    keys: { serverName: "", psk: Secret.random(32), checkServer: anyServer }
  }),
  MessageClient.connect({ address: at, keys: { serverName: "", identity, serverKey } }),
  SecureSocket.layer({ address: at, keys: { serverName: "", identity, checkServer: anyServer } })
]

/** Handles every error of a channel. */
export const advice: Readonly<Record<ChannelError["_tag"], string>> = {
  ChannelClosed: "the session has ended",
  ChannelRefused: "ask its administrator",
  ChannelTampered: "an attacker changes the traffic",
  HandshakeFailed: "is it the right key?",
  NotOffered: "ask for something else",
  PeerDead: "connect again",
  StreamTruncated: "connect again"
}

const scoped = Effect.scoped(exhausted)
// @ts-expect-error the layer of a Transport is missing
// @effect-diagnostics-next-line missingEffectContext:off
export const lacking: Promise<string> = Effect.runPromise(scoped)
export const running = (): Promise<string> =>
  Effect.runPromise(Effect.provide(scoped, Transport.layerNet))

export const doors = {
  mutualKeys,
  chaos,
  cipherLaws,
  connect,
  keyStoreLaws,
  SecureCluster,
  SecureRpc,
  SecureSocket,
  SecureSocketServer,
  Telemetry,
  transportLaws
}
