// Node.js streams and promises over the channel, for programs without Effect.
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Duplex } from "node:stream"
import { Secret } from "../bytes/Secret.ts"
import * as Channel from "../channel/Channel.ts"
import type { ServerKeys } from "../channel/HandshakeKeys.ts"
import { HandshakeFailed, StreamTruncated } from "../channel/ChannelErrors.ts"
import { limits as channelLimits } from "../channel/limits.ts"
import type { Padding } from "../channel/Padding.ts"
import { keyBytes, sharedKeyError } from "../channel/sharedKey.ts"
import { credentialsOf, suiteFor, type Suite } from "../channel/Suite.ts"
import { Identity, SharedKey, type KeyKind } from "../keys/KeyKind.ts"
import type { KeyPair } from "../keys/KeyPair.ts"
import { KeyStore } from "../keys/KeyStore.ts"
import { dial, type DialKeys } from "../services/Dial.ts"
import type { Accepted } from "../transports/Acceptor.ts"
import * as Address from "../transports/Address.ts"
import { Transport } from "../transports/index.ts"
import { application as socketApplication } from "./application.ts"
import { ChannelDuplex, type DuplexOptions, type Peer } from "./ChannelDuplex.ts"
import { SealwireError, type Tagged } from "./SealwireError.ts"

/** Options of both sides. */
interface Common extends DuplexOptions {
  /** An Address, or its text: `127.0.0.1:8080`, `[::1]:8080`, `:8080`, `/run/app.sock`. */
  readonly address: string | Address.Address
  /** The application protocol; must be equal on both sides. Default: "sealwire/socket/1". */
  readonly application?: string
  readonly padding?: Padding
}

/** Both sides hold one shared key. */
interface WithSharedKey {
  readonly sharedKey: Secret
  readonly identity?: never
  readonly serverKey?: never
  readonly peers?: never
}

/** Each side has a key pair; a shared key is an optional second factor. */
interface WithIdentity {
  readonly identity: KeyPair
  readonly sharedKey?: Secret
}

/** Options of a client. */
export type ConnectOptions = Common & {
  /** Aborts the connection attempt. */
  readonly signal?: AbortSignal
} & (
    | WithSharedKey
    | (WithIdentity & {
        /** The server's public key. A server without its private key is rejected. */
        readonly serverKey: Uint8Array
      })
  )

/** Options of a server. */
export type ListenOptions = Common & {
  /** Maximum number of connections, 1 or more. */
  readonly connections?: number
  /** Called with the reason of each refused connection. The peer does not learn the reason. */
  readonly onRefused?: (error: SealwireError) => void
} & (
    | WithSharedKey
    | (WithIdentity & {
        /** The clients that may connect. */
        readonly peers: ReadonlyArray<{ readonly name: string; readonly publicKey: Uint8Array }>
      })
  )

/** A stream to an authenticated peer. */
export interface SecureDuplex extends Duplex {
  readonly peer: Peer
}

/** A running server. */
export interface Listening {
  /** The bound address, with the port that was chosen for port 0. */
  readonly address: Address.Address
  /** Stops accepting. Open streams have ten seconds to end, then they are reset. */
  readonly close: () => Promise<void>
}

/**
 * Connects, and resolves when both sides are authenticated.
 *
 * - `end()` is a half-close: the other direction goes on (unless `allowHalfOpen: false`).
 * - `'end'` is emitted after the peer's FIN. A truncated or modified stream emits `'error'` and
 *   never `'end'`.
 * - Back-pressure applies in both directions, at `highWaterMark`.
 * - `destroy()` before both sides have ended resets the connection.
 * - Errors, of the promise and of the stream, are `SealwireError`s: `code` is `ConnectFailed`,
 *   `HandshakeFailed`, `StreamTruncated` …
 *
 * @example
 * const stream = await connect({ address: "127.0.0.1:8080", identity, serverKey })
 * await pipeline(createReadStream("a"), stream, createWriteStream("b"))
 */
export const connect = (options: ConnectOptions): Promise<SecureDuplex> =>
  runPromise(
    Effect.gen(function* () {
      const { application = socketApplication, padding } = options
      yield* validate("connect", options, "the serverKey", options.serverKey && [options.serverKey])
      const address = yield* parseAddress(options.address)
      const scope = yield* Scope.make()
      const channel = yield* dial(
        {
          address,
          application,
          keys: clientKeys(options),
          ...(padding === undefined ? {} : { padding })
        },
        ""
      ).pipe(
        Effect.tap(({ ready }) => ready),
        Scope.extend(scope),
        Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : Scope.close(scope, exit)))
      )
      return new ChannelDuplex(
        channel,
        (complete) => Effect.runPromise(Scope.close(scope, complete ? Exit.void : incomplete)),
        options
      )
    }),
    options.signal
  )

/**
 * Listens, and calls `serve` with a stream to each authenticated peer. If `serve` throws or
 * rejects, its stream is destroyed. A stream's `'error'` without a listener ends that stream only.
 *
 * @example
 * const { close } = await listen(
 *   { address: ":8080", identity, peers: [{ name: "alice", publicKey }] },
 *   (stream, { name }) => pipeline(stream, stream)
 * )
 */
export const listen = (
  options: ListenOptions,
  serve: (stream: SecureDuplex, peer: Peer) => unknown
): Promise<Listening> =>
  runPromise(
    Effect.gen(function* () {
      const { connections } = options
      yield* validate(
        "listen",
        options,
        "peers",
        options.peers?.map(({ publicKey }) => publicKey)
      )
      const transport = yield* Transport
      const requested = yield* parseAddress(options.address)
      const scope = yield* Scope.make()
      const handler = yield* Channel.handler(acceptanceOf(options, serve))
      const { address } = yield* transport
        .listen(requested, handler, {
          halfOpen: channelLimits.halfOpen,
          halfOpenPerSource: channelLimits.halfOpenPerSource,
          ...(connections === undefined ? {} : { connections })
        })
        .pipe(
          Scope.extend(scope),
          Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : Scope.close(scope, exit)))
        )
      // Each call waits for the same end.
      let closed: Promise<void> | undefined
      return { address, close: () => (closed ??= Effect.runPromise(Scope.close(scope, Exit.void))) }
    })
  )

/** Loads a key pair by its reference: `./me.key`, `env:NAME`, `exec:pass show key`. */
export const loadIdentity = (reference: string): Promise<KeyPair> => load(reference, Identity)

/** Loads a shared key by its reference, as `loadIdentity` does. */
export const loadSharedKey = (reference: string): Promise<Secret> => load(reference, SharedKey)

const load = <Key>(reference: string, kind: KeyKind<Key>): Promise<Key> =>
  runPromise(
    Effect.flatMap(KeyStore, (store) => store.load(kind)).pipe(
      Effect.provide(KeyStore.layerReference(reference))
    )
  )

/** Authenticates one peer; its channel lasts until its stream is closed. */
const acceptanceOf =
  (options: ListenOptions, serve: (stream: SecureDuplex, peer: Peer) => unknown) =>
  (connection: Accepted): Channel.Acceptance<never> => {
    const { application = socketApplication, padding } = options
    let closed = () => {}
    return {
      keys: { ...serverKeys(options), application },
      ...(padding === undefined ? {} : { padding }),
      opened: (channel) =>
        Effect.async((resume) => {
          const close = (complete: boolean) =>
            new Promise<void>((resolve) => {
              closed = resolve
              resume(complete ? Effect.void : Effect.zipRight(connection.abort, Effect.interrupt))
            })
          const stream = new ChannelDuplex(channel, close, options)
          serveStream(stream, serve)
          return Effect.sync(() =>
            stream.destroy(
              new SealwireError(new StreamTruncated({ peer: channel.peer, code: "CLOSED" }))
            )
          )
        }),
      closed: () => closed(),
      refused: (refusal) =>
        Effect.sync(() => options.onRefused?.(new SealwireError(new HandshakeFailed(refusal))))
    }
  }

const serveStream = (
  stream: ChannelDuplex,
  serve: (stream: SecureDuplex, peer: Peer) => unknown
): void => {
  // No action of a peer may end the process by an unhandled 'error'.
  stream.on("error", () => {})
  void Promise.resolve()
    .then(() => serve(stream, stream.peer))
    // A thrown value that is not an Error may have no text.
    .catch((cause: unknown) =>
      stream.destroy(
        cause instanceof Error
          ? cause
          : new Error("the handler threw a value that is not an Error", { cause })
      )
    )
}

/**
 * Checks the options of callers without types: a wrong key would only show as a failed handshake.
 */
const validate = (
  call: string,
  options: ValidatedOptions,
  keyOption: string,
  keys: ReadonlyArray<unknown> | undefined
) =>
  Effect.suspend(() => {
    const { address, application = "", connections = 1, identity, sharedKey } = options
    if (
      typeof address !== "string" &&
      (address as Partial<Address.Address> | undefined)?._tag === undefined
    )
      return Effect.die(new TypeError(`${call}: the address must be a string or an Address`))
    if (!Number.isSafeInteger(connections) || connections < 1)
      return Effect.die(new RangeError(`${call}: connections must be 1 or more`))
    if (Buffer.byteLength(application) > maxApplicationBytes)
      return Effect.die(
        new RangeError(`${call}: the application must have at most ${maxApplicationBytes} bytes`)
      )
    if (identity === undefined ? sharedKey === undefined : !Array.isArray(keys))
      return Effect.die(new TypeError(`${call} needs a sharedKey, or an identity and ${keyOption}`))
    if (sharedKey !== undefined && !(sharedKey instanceof Secret && sharedKey.length === keyBytes))
      return Effect.die(
        new TypeError(`${call}: the sharedKey must be a Secret of ${keyBytes} bytes`)
      )
    const invalid = sharedKey === undefined ? undefined : sharedKeyError(sharedKey)
    if (invalid !== undefined) return Effect.die(new TypeError(`${call}: ${invalid}`))
    if (
      identity !== undefined &&
      !keys?.every((key) => key instanceof Uint8Array && key.length === keyBytes)
    )
      return Effect.die(
        new TypeError(`${call}: each public key must have ${keyBytes} bytes; check ${keyOption}`)
      )
    return Effect.void
  })

interface ValidatedOptions extends Partial<WithIdentity> {
  readonly address: unknown
  readonly application?: string
  readonly connections?: number
}
/** PROTOCOL.md section 4: the length field has two bytes. */
const maxApplicationBytes = 0xffff

/** Closes a scope whose stream did not end: the channel is reset. */
const incomplete = Exit.fail("incomplete")

const suiteOf = ({
  identity,
  sharedKey
}: {
  readonly identity?: KeyPair
  readonly sharedKey?: Secret
}): Suite => suiteFor(credentialsOf(identity !== undefined, sharedKey !== undefined), true)

const clientKeys = (options: ConnectOptions): DialKeys =>
  options.identity === undefined
    ? { serverName: "", psk: options.sharedKey }
    : {
        serverName: "",
        identity: options.identity,
        serverKey: options.serverKey,
        ...(options.sharedKey === undefined ? {} : { psk: options.sharedKey })
      }

const serverKeys = (options: ListenOptions): Omit<ServerKeys, "application"> => ({
  serverName: "",
  suites: [suiteOf(options)],
  ...(options.sharedKey === undefined ? {} : { psks: [{ secret: options.sharedKey }] }),
  ...(options.identity === undefined ? {} : { identities: [options.identity] }),
  authorize: (publicKey) =>
    (options.identity === undefined ? [] : options.peers).find(
      (peer) => Buffer.compare(peer.publicKey, publicKey) === 0
    ) ?? "its key is not among the peers"
})

const parseAddress = (
  address: string | Address.Address
): Either.Either<Address.Address, Address.AddressInvalid> =>
  typeof address === "string" ? Address.parse(address) : Either.right(address)

/** Rejects with a SealwireError for a typed error, and with the defect itself otherwise. */
const runPromise = <A>(
  effect: Effect.Effect<A, Tagged, Transport>,
  signal?: AbortSignal
): Promise<A> =>
  Effect.runPromiseExit(
    Effect.provide(effect, Transport.layerNet),
    signal === undefined ? {} : { signal }
  ).then((exit) => {
    if (Exit.isSuccess(exit)) return exit.value
    const failure = Cause.failureOption(exit.cause)
    if (failure._tag === "Some") throw new SealwireError(failure.value)
    throw signal?.aborted ? signal.reason : Cause.squash(exit.cause)
  })
