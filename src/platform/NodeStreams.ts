// Streams of Node over the channel, for programs without Effect.
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Duplex } from "node:stream"
import { Secret } from "../bytes/Secret.ts"
import * as Channel from "../channel/Channel.ts"
import type { ClientKeys, ServerKeys } from "../channel/Handshake.ts"
import { StreamTruncated } from "../channel/ChannelErrors.ts"
import { limits as channelLimits } from "../channel/limits.ts"
import type { Padding } from "../channel/Padding.ts"
import { suiteFor, type Suite } from "../channel/Suite.ts"
import { Identity, SharedKey, type KeyKind } from "../keys/KeyKind.ts"
import type { KeyPair } from "../keys/KeyPair.ts"
import { KeyStore } from "../keys/KeyStore.ts"
import { dial } from "../services/Dial.ts"
import type { Accepted } from "../transports/Acceptor.ts"
import * as Address from "../transports/Address.ts"
import { Transport } from "../transports/index.ts"
import { application as socketApplication } from "./application.ts"
import { ChannelDuplex, type DuplexOptions, type Peer } from "./ChannelDuplex.ts"
import { SealwireError, type Tagged } from "./SealwireError.ts"

/** What both sides have in common. */
interface Common extends DuplexOptions {
  /** `127.0.0.1:8080`, `[::1]:8080`, `:8080`, `/run/app.sock`; or an Address. */
  readonly address: string | Address.Address
  /** What is spoken, the same on both sides. Default: "sealwire/socket/1", as SecureSocket. */
  readonly application?: string
  readonly padding?: Padding
}

/** One key that both sides hold. */
interface WithSharedKey {
  readonly sharedKey: Secret
  readonly identity?: never
  readonly serverKey?: never
  readonly peers?: never
}

/** A key pair for each side; a shared key too, where that is wanted as a second factor. */
interface WithIdentity {
  readonly identity: KeyPair
  readonly sharedKey?: Secret
}

/** Where to connect, and with which keys. */
export type ConnectOptions = Common & {
  /** Gives up, also in the middle. */
  readonly signal?: AbortSignal
} & (
    | WithSharedKey
    | (WithIdentity & {
        /** The server's public key: of what else answers there nothing is believed. */
        readonly serverKey: Uint8Array
      })
  )

/** Where to listen, and who is let in. */
export type ListenOptions = Common & {
  /** At once. */
  readonly connections?: number
  /** Told of who was not let in, and why; that one is told nothing. */
  readonly onRefused?: (error: SealwireError) => void
} & (
    | WithSharedKey
    | (WithIdentity & {
        /** Who is let in. */
        readonly peers: ReadonlyArray<{ readonly name: string; readonly publicKey: Uint8Array }>
      })
  )

/** A stream to a peer whose key is known. */
export interface SecureDuplex extends Duplex {
  readonly peer: Peer
}

/** One that listens. */
export interface Listening {
  /** Where it listens, with the port that port 0 became. */
  readonly address: Address.Address
  /** Lets nobody in any more; who is in has ten seconds to end, and is then cut off. */
  readonly close: () => Promise<void>
}

/**
 * A stream to a server that has proven its key.
 *
 * - `end()` is a half-close: the other direction goes on (unless `allowHalfOpen: false`).
 * - `'end'` comes when the peer has said that all is said. A stream that was cut, or changed on the way, is an `'error'`, and never an `'end'`.
 * - A peer that does not keep up is not written to beyond `highWaterMark`; a reader that does not keep up holds the peer back.
 * - `destroy()` before both sides have ended is a reset.
 * - Errors, here and of the stream, are `SealwireError`s: `code` is `ConnectFailed`, `HandshakeFailed`, `StreamTruncated` …
 *
 * @example
 * const stream = await connect({ address: "127.0.0.1:8080", identity, serverKey })
 * await pipeline(createReadStream("a"), stream, createWriteStream("b"))
 */
export const connect = (options: ConnectOptions): Promise<SecureDuplex> =>
  promised(
    Effect.gen(function* () {
      const { application = socketApplication, padding } = options
      yield* checked("connect", options, "the serverKey", options.serverKey && [options.serverKey])
      const address = yield* addressOf(options.address)
      const scope = yield* Scope.make()
      const channel = yield* dial(
        {
          address,
          application,
          keys: clientKeys(options),
          checkServer: () => Effect.void,
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
        (whole) => Effect.runPromise(Scope.close(scope, whole ? Exit.void : cut)),
        options
      )
    }),
    options.signal
  )

/**
 * A server: each peer that has proven its key is given to `serve`, as a stream. What `serve` throws, or rejects with, destroys that stream. An error of a
 * stream to which nobody listens ends that stream alone.
 *
 * @example
 * const { close } = await listen({ address: ":8080", identity, peers: [{ name: "alice", publicKey }] }, (stream, { name }) => pipeline(stream, stream))
 */
export const listen = (
  options: ListenOptions,
  serve: (stream: SecureDuplex, peer: Peer) => unknown
): Promise<Listening> =>
  promised(
    Effect.gen(function* () {
      const { connections } = options
      yield* checked(
        "listen",
        options,
        "peers",
        options.peers?.map(({ publicKey }) => publicKey)
      )
      const transport = yield* Transport
      const place = yield* addressOf(options.address)
      const scope = yield* Scope.make()
      const { address } = yield* transport
        .listen(place, (connection) => attend(connection, options, serve), {
          halfOpen: channelLimits.halfOpen,
          halfOpenPerSource: channelLimits.halfOpenPerSource,
          ...(connections === undefined ? {} : { connections })
        })
        .pipe(
          Scope.extend(scope),
          Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : Scope.close(scope, exit)))
        )
      // Whoever calls it waits for the same end.
      let closed: Promise<void> | undefined
      return { address, close: () => (closed ??= Effect.runPromise(Scope.close(scope, Exit.void))) }
    })
  )

/** The key pair of a file, or wherever a reference points: `./me.key`, `env:NAME`, `exec:pass show key`. */
export const loadIdentity = (reference: string): Promise<KeyPair> => loaded(reference, Identity)

/** The shared key of a file, or wherever a reference points. */
export const loadSharedKey = (reference: string): Promise<Secret> => loaded(reference, SharedKey)

const loaded = <Key>(reference: string, kind: KeyKind<Key>): Promise<Key> =>
  promised(
    Effect.flatMap(KeyStore, (store) => store.load(kind)).pipe(
      Effect.provide(KeyStore.layerReference(reference))
    )
  )

/** One peer, from its first packet until its stream is closed. */
const attend = (
  connection: Accepted,
  options: ListenOptions,
  serve: (stream: SecureDuplex, peer: Peer) => unknown
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { application = socketApplication, padding } = options
    const closed = yield* Deferred.make<void>()
    const scope = yield* Scope.make()
    const channel = yield* Channel.accept(
      connection,
      { ...serverKeys(options), application },
      padding === undefined ? {} : { padding }
    ).pipe(Scope.extend(scope))
    const close = (whole: boolean) =>
      Effect.runPromise(
        Effect.zipRight(
          whole ? Effect.void : connection.abort,
          Scope.close(scope, whole ? Exit.void : cut)
        ).pipe(Effect.ensuring(Deferred.succeed(closed, undefined)))
      )
    const stream = new ChannelDuplex(channel, close, options)
    // Of what a peer does nothing ends the process.
    stream.on("error", () => {})
    void Promise.resolve()
      .then(() => serve(stream, stream.peer))
      // What is no error may not even have a text.
      .catch((cause: unknown) =>
        stream.destroy(
          cause instanceof Error ? cause : new Error("its handler threw no error", { cause })
        )
      )
    yield* Effect.onInterrupt(Deferred.await(closed), () =>
      Effect.sync(() =>
        stream.destroy(
          new SealwireError(new StreamTruncated({ peer: channel.peer, code: "CLOSED" }))
        )
      )
    )
  }).pipe(
    Effect.catchAll((error) => Effect.sync(() => options.onRefused?.(new SealwireError(error))))
  )

/** What the types cannot say, or nobody has checked: said at once, and not by a peer that closes. */
const checked = (call: string, options: Checked, theirs: string, keys: Keys | undefined) =>
  Effect.suspend(() => {
    const { address, application = "", connections = 1, identity, sharedKey } = options
    if (
      typeof address !== "string" &&
      (address as Partial<Address.Address> | undefined)?._tag === undefined
    )
      return Effect.die(new TypeError(`${call}: the address is text, or an Address`))
    if (!Number.isSafeInteger(connections) || connections < 1)
      return Effect.die(new RangeError(`${call}: connections is 1 or more`))
    if (Buffer.byteLength(application) > mostApplicationBytes)
      return Effect.die(
        new RangeError(`${call}: the application has at most ${mostApplicationBytes} bytes`)
      )
    if (identity === undefined ? sharedKey === undefined : !Array.isArray(keys))
      return Effect.die(new TypeError(`${call} needs a sharedKey, or an identity and ${theirs}`))
    if (sharedKey !== undefined && !(sharedKey instanceof Secret && sharedKey.length === keyBytes))
      return Effect.die(new TypeError(`${call}: the sharedKey is no Secret of ${keyBytes} bytes`))
    if (
      identity !== undefined &&
      !keys?.every((key) => key instanceof Uint8Array && key.length === keyBytes)
    )
      return Effect.die(
        new TypeError(`${call}: a public key has ${keyBytes} bytes; look at ${theirs}`)
      )
    return Effect.void
  })

interface Checked extends Partial<WithIdentity> {
  readonly address: unknown
  readonly application?: string
  readonly connections?: number
}
type Keys = ReadonlyArray<unknown>
/** PROTOCOL.md section 4: its length has two bytes. */
const mostApplicationBytes = 0xffff
/** Of X25519, and of a shared key. */
const keyBytes = 32

/** What ends a scope whose stream did not come to its end. */
const cut = Exit.fail("cut")

const suiteOf = ({
  identity,
  sharedKey
}: {
  readonly identity?: KeyPair
  readonly sharedKey?: Secret
}): Suite =>
  suiteFor({
    hasIdentities: identity !== undefined,
    hasSharedKey: sharedKey !== undefined,
    hasServerKey: identity !== undefined
  }) as Suite

const clientKeys = (options: ConnectOptions): Omit<ClientKeys, "application"> => ({
  serverName: "",
  suite: suiteOf(options),
  ...(options.sharedKey === undefined ? {} : { psk: options.sharedKey }),
  ...(options.identity === undefined
    ? {}
    : { identity: options.identity, serverKey: options.serverKey })
})

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

const addressOf = (
  address: string | Address.Address
): Either.Either<Address.Address, Address.AddressInvalid> =>
  typeof address === "string" ? Address.parse(address) : Either.right(address)

/** What fails rejects with a SealwireError; a fault of this library as it is. */
const promised = <A>(
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
