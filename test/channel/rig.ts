// Helpers of the channel tests: keys for every suite, both sides of a channel, a recorded
// connection.
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { Secret } from "../../src/bytes/Secret.ts"
import * as Channel from "../../src/channel/Channel.ts"
import type { CheckServer, ClientKeys } from "../../src/channel/ClientKeys.ts"
import {
  StreamTruncated,
  type ChannelError,
  type HandshakeFailed
} from "../../src/channel/ChannelErrors.ts"
import { HandshakeDriver } from "../../src/channel/HandshakeDriver.ts"
import { respond, type HandshakeResult } from "../../src/channel/Handshake.ts"
import type { InitiatorKeys, ServerKeys } from "../../src/channel/HandshakeKeys.ts"
import { allSuites, type Suite } from "../../src/channel/Suite.ts"
import { generate } from "../../src/keys/KeyPair.ts"
import type { DialKeys } from "../../src/services/Dial.ts"
import { CipherState } from "../../src/noise/CipherState.ts"
import type { Accepted } from "../../src/transports/Acceptor.ts"
import { tcp, type Address } from "../../src/transports/Address.ts"
import type { Connection, Flow } from "../../src/transports/Connection.ts"
import { Transport } from "../../src/transports/Transport.ts"
import { withTimeout } from "../../src/testing/steps.ts"

export const server = generate()
export const alice = generate()
export const mallory = generate()
export const psk = Secret.random(32)

export const prologueFields = { serverName: "", application: "test/1" }

/** The suite of this name. */
export { suiteNamed as suiteOf } from "../../src/channel/Suite.ts"

/** Every key of alice, of which the handshake of the suite uses some. */
export const initiatorKeys = (suite: Suite): InitiatorKeys => ({
  ...prologueFields,
  suite,
  psk,
  identity: alice,
  serverKey: server.publicKey
})

export const equalBytes = (a: Uint8Array | undefined, b: Uint8Array): boolean =>
  a !== undefined && Buffer.compare(a, b) === 0

export const serverKeys: ServerKeys = {
  ...prologueFields,
  suites: allSuites,
  psks: [{ secret: psk }],
  identities: [server],
  authorize: (publicKey) =>
    equalBytes(publicKey, alice.publicKey)
      ? { name: "alice" }
      : "its key is not in authorized_peers"
}

const acceptAnyServer = () => Effect.succeed(true)

/** The combination of keys that leads to the suite of `keys`. */
export const keysOf = <E = never>(
  { suite, serverName, application, ...all }: InitiatorKeys,
  checkServer: CheckServer<E> = acceptAnyServer
): ClientKeys<E> => {
  const fields = { serverName, application }
  const { psk, identity, serverKey } = all as Required<typeof all>
  if (!suite.hasIdentities) return { ...fields, psk }
  if (suite.forPairing) return { ...fields, identity, code: psk }
  const both = { ...fields, identity, ...(suite.hasSharedKey ? { psk } : {}) }
  return suite.hasServerKey ? { ...both, serverKey } : { ...both, checkServer }
}

/** The keys with which a client opens a channel of the suite; it accepts any server. */
export const clientKeys = (suite: Suite, own: Partial<InitiatorKeys> = {}): ClientKeys =>
  keysOf({ ...initiatorKeys(suite), ...own })

/** The same for `dial`, in suites that are not for pairing. */
export const dialKeys = (suite: Suite, own: Partial<InitiatorKeys> = {}) =>
  clientKeys(suite, own) as DialKeys & { readonly serverName: string }

export const anyPort = tcp("127.0.0.1", 0)

/** Two cipher states with one key: the sender and the receiver of one direction. */
export const cipherPair = (): readonly [CipherState, CipherState] => {
  const key = Secret.random(32).expose()
  return [new CipherState(key), new CipherState(key)]
}

/** One side of a channel, and the function that closes its scope and its connection. */
export interface Side {
  readonly channel: Channel.Channel
  readonly connection: Connection
  readonly close: (exit: Exit.Exit<void>) => Effect.Effect<void>
}

export interface OpenOptions {
  readonly address?: Address
  readonly client?: Partial<InitiatorKeys>
  readonly channel?: Channel.ChannelOptions
  /** Wraps the client's connection. */
  readonly wire?: (connection: Connection) => Connection
}

/** Opens a channel and returns both sides. */
export const openChannel = (
  suite: Suite,
  {
    address: requested = anyPort,
    client = {},
    channel: options = {},
    wire = (connection) => connection
  }: OpenOptions = {}
): Effect.Effect<readonly [client: Side, server: Side], unknown, Transport | Scope.Scope> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const arrived = yield* Deferred.make<readonly [Channel.Channel, Accepted], HandshakeFailed>()
    const leave = yield* Deferred.make<void>()
    const { address } = yield* transport.listen(requested, (connection) =>
      Channel.accept(connection, serverKeys, options).pipe(
        Effect.tapError((error) => Deferred.fail(arrived, error)),
        Effect.flatMap((channel) => Deferred.succeed(arrived, [channel, connection] as const)),
        Effect.zipRight(Effect.raceFirst(Deferred.await(leave), connection.draining)),
        // A deliberate failure must fail the scope, which the type of a handler forbids.
        Effect.orDie
      )
    )
    const scope = yield* Effect.acquireRelease(Scope.make(), Scope.close)
    const connection = wire(
      yield* withTimeout("the connection", Scope.extend(transport.connect(address), scope))
    )
    const near = yield* withTimeout(
      "the client's handshake",
      Scope.extend(Channel.connect(connection, clientKeys(suite, client), options), scope)
    )
    const [far, accepted] = yield* withTimeout("the server's handshake", Deferred.await(arrived))
    return [
      { channel: near, connection, close: (exit) => Scope.close(scope, exit) },
      {
        channel: far,
        connection: accepted,
        close: (exit) => Effect.asVoid(Deferred.done(leave, exit))
      }
    ] as const
  })

/** Reads all bytes up to FIN, with control messages as text in between. */
export const readAll = (channel: Channel.Channel): Effect.Effect<Buffer, ChannelError> =>
  Effect.gen(function* () {
    const chunks: Array<Uint8Array> = []
    for (let item = yield* channel.read; item !== undefined; item = yield* channel.read)
      chunks.push(
        item instanceof Channel.Control
          ? Buffer.from(`<${Buffer.from(item.body).toString()}>`)
          : item
      )
    return Buffer.concat(chunks)
  })

/** Reads at least `count` bytes. */
export const readAtLeast = (
  channel: Channel.Channel,
  count: number
): Effect.Effect<Buffer, ChannelError> =>
  Effect.gen(function* () {
    let bytes = Buffer.alloc(0)
    while (bytes.length < count) {
      const item = yield* channel.read
      if (item === undefined)
        return yield* new StreamTruncated({ peer: "the test", code: `FIN after ${bytes.length}` })
      bytes = Buffer.concat([bytes, item instanceof Channel.Control ? item.body : item])
    }
    return bytes
  })

/** Records the outgoing bytes of a connection. */
export const recording =
  (written: Array<Uint8Array>) =>
  (connection: Connection): Connection => ({
    ...connection,
    write: (bytes) => {
      written.push(Buffer.from(bytes))
      return connection.write(bytes)
    },
    flow: {
      ...connection.flow,
      write: (bytes, taken) => {
        written.push(Buffer.from(bytes))
        return connection.flow.write(bytes, taken)
      }
    }
  })

/** The outcome of one connection at the server. */
export type Outcome =
  | { readonly _tag: "Refused"; readonly reason: string }
  /** `error` ended the reads; undefined after an orderly end. */
  | {
      readonly _tag: "Session"
      readonly bytes: Buffer
      readonly error: ChannelError | undefined
      readonly name: string
    }

/** Listens, and reads each session to its end. */
export const listenAndRead = (
  keys: ServerKeys = serverKeys
): Effect.Effect<
  { readonly address: Address; readonly outcomes: Array<Outcome> },
  unknown,
  Transport | Scope.Scope
> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const outcomes: Array<Outcome> = []
    const { address } = yield* transport.listen(anyPort, (connection) =>
      Effect.gen(function* () {
        const channel = yield* Channel.accept(connection, keys)
        const chunks: Array<Uint8Array> = []
        const ended = yield* Effect.either(
          Effect.gen(function* () {
            for (let item = yield* channel.read; item !== undefined; item = yield* channel.read)
              chunks.push(item instanceof Channel.Control ? item.body : item)
          })
        )
        const error = ended._tag === "Left" ? ended.left : undefined
        outcomes.push({ _tag: "Session", bytes: Buffer.concat(chunks), error, name: channel.peer })
      }).pipe(
        Effect.catchAll(({ reason }) =>
          Effect.sync(() => {
            outcomes.push({ _tag: "Refused", reason })
          })
        )
      )
    )
    return { address, outcomes }
  })

/** Runs the garbage collector, so that measured memory is in use. */
export const collectGarbage = (): void => {
  setFlagsFromString("--expose-gc")
  ;(runInNewContext("gc") as () => void)()
}

/** A clock that runs `times` faster, so that deadlines pass sooner. */
export const layerFasterClock = (times: number): Layer.Layer<never> =>
  Layer.unwrapEffect(
    Effect.map(Effect.clock, (clock) =>
      Layer.setClock({
        [Clock.ClockTypeId]: Clock.ClockTypeId,
        unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis() * times,
        unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos() * BigInt(times),
        currentTimeMillis: Effect.map(clock.currentTimeMillis, (millis) => millis * times),
        currentTimeNanos: clock.currentTimeNanos,
        sleep: (duration) => clock.sleep(Duration.times(duration, 1 / times))
      })
    )
  )

/**
 * Runs the server's handshake on these bytes. Returns its result or error, and the number of bytes
 * it answers.
 */
export const respondTo = (
  bytes: Uint8Array,
  keys: ServerKeys = serverKeys
): {
  readonly session: HandshakeResult | string | undefined
  readonly answered: number
  readonly responsive: boolean
} => {
  let responsive = false
  let session: HandshakeResult | string | undefined
  let answered = 0
  const send = (answer: Uint8Array) => {
    answered += answer.length
    return true
  }
  const flow: Flow = {
    start: (sink) => {
      sink.bytes(bytes)
      sink.end()
    },
    stop: () => {},
    pause: () => {},
    resume: () => {},
    write: send,
    release: () => {},
    end: () => {},
    reset: () => {},
    isResetByPeer: () => false
  }
  const steps = respond(
    { address: "192.0.2.1:1", send, markResponsive: () => (responsive = true) },
    keys
  )
  new HandshakeDriver(flow, steps, {
    done: (result) => {
      session = result
    },
    defect: (cause) => {
      throw cause
    }
  }).start()
  return { session, answered, responsive }
}
