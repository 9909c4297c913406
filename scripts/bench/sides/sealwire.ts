// Sealwire as a program uses it: channels for flows, the message service for messages.
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import type * as Scope from "effect/Scope"
import { Secret } from "../../../src/bytes/Secret.ts"
import * as Channel from "../../../src/channel/Channel.ts"
import { limits } from "../../../src/channel/limits.ts"
import { suiteNamed, suites, type Suite, type SuiteName } from "../../../src/channel/Suite.ts"
import type { ServerCredentials } from "../../../src/channel/ClientKeys.ts"
import type { PrologueFields } from "../../../src/channel/HandshakeKeys.ts"
import { fromPrivate } from "../../../src/keys/KeyPair.ts"
import * as MessageClient from "../../../src/services/messages/MessageClient.ts"
import { handleWith, Inbox } from "../../../src/services/inbox/Inbox.ts"
import * as MessageService from "../../../src/services/messages/MessageService.ts"
import * as Server from "../../../src/services/Server.ts"
import { tcp } from "../../../src/transports/Address.ts"
import { Transport } from "../../../src/transports/index.ts"
import { openHalf } from "./halfOpen.ts"
import {
  blockBytes,
  crowd,
  messageBytes,
  percentiles,
  seconds,
  type Side,
  type Work
} from "../Side.ts"

const psk = new Secret(Buffer.alloc(32, 1))
const serverIdentity = fromPrivate(new Secret(Buffer.alloc(32, 2)))
const clientIdentity = fromPrivate(new Secret(Buffer.alloc(32, 3)))
const strangerPsk = new Secret(Buffer.alloc(32, 4))
const strangerIdentity = fromPrivate(new Secret(Buffer.alloc(32, 5)))
const agreement = { serverName: "", application: "sealwire/bench/1" }
const anywhere = tcp("127.0.0.1", 0)

const serverKeys = {
  ...agreement,
  suites,
  psks: [{ name: "bench", secret: psk }],
  identities: [serverIdentity],
  authorize: (publicKey: Uint8Array) =>
    Buffer.compare(publicKey, clientIdentity.publicKey) === 0 ? { name: "bench" } : "unknown key"
}
/**
 * The keys of the client that lead to the suite. Of the pinned keys every side has the right one;
 * a stranger's own key is unknown to the server.
 */
const clientKeys = (suite: Suite, isStranger = false): PrologueFields & ServerCredentials => {
  if (!suite.hasIdentities) return { ...agreement, psk: isStranger ? strangerPsk : psk }
  const identity = isStranger ? strangerIdentity : clientIdentity
  const both = { ...agreement, identity, ...(suite.hasSharedKey ? { psk } : {}) }
  return suite.hasServerKey
    ? { ...both, serverKey: serverIdentity.publicKey }
    : { ...both, checkServer }
}

const checkServer = (publicKey: Uint8Array) =>
  Effect.succeed(Buffer.compare(publicKey, serverIdentity.publicKey) === 0)

const runtime = ManagedRuntime.make(Transport.layerNet)

const run = <A, E>(effect: Effect.Effect<A, E, Transport | Scope.Scope>): Promise<A> =>
  runtime.runPromise(Effect.scoped(effect))

/** Runs an effect that never ends; returns its first event. */
const started = <A, E>(
  program: (say: (first: A) => void) => Effect.Effect<never, E, Transport | Scope.Scope>
): Promise<A> =>
  new Promise((resolve, reject) => {
    run(program(resolve)).catch(reject)
  })

/** A server of channels. */
const serve = (
  handle: (channel: Channel.Channel) => Effect.Effect<unknown, unknown>
): Promise<number> =>
  started((say) =>
    Effect.gen(function* () {
      const transport = yield* Transport
      const handler = yield* Channel.handler(() => ({
        keys: serverKeys,
        opened: (channel) => Effect.ignore(handle(channel)),
        refused: () => Effect.void
      }))
      const { address } = yield* transport.listen(anywhere, handler, {
        halfOpen: limits.halfOpen,
        halfOpenPerSource: limits.halfOpenPerSource
      })
      say(address._tag === "Tcp" ? address.port : 0)
      return yield* Effect.never
    })
  )

/** A server of messages. */
const serveMessages = (inbox: Layer.Layer<Inbox, unknown>): Promise<number> =>
  started((say) =>
    Effect.gen(function* () {
      const store = Context.get(yield* Layer.build(inbox), Inbox)
      return yield* Server.serve({
        address: anywhere,
        keys: serverKeys,
        // All connections of a bench are those of one client.
        peerConnections: Number.POSITIVE_INFINITY,
        services: [MessageService.service(handleWith(store))],
        on: (event) =>
          Effect.sync(() => {
            if (event._tag === "Listening" && event.address._tag === "Tcp") say(event.address.port)
          })
      })
    })
  )

/** Discards messages. */
const nowhere = Layer.succeed(Inbox, { handle: () => Effect.void })

const connect = (suite: Suite, port: number, isStranger = false) =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const connection = yield* transport.connect(tcp("127.0.0.1", port))
    return yield* Channel.connect(connection, clientKeys(suite, isStranger))
  })

const connectClient = (suite: Suite, port: number) =>
  MessageClient.connect({
    address: tcp("127.0.0.1", port),
    keys: clientKeys(suite)
  })

const bulk = (suite: Suite): Work => ({
  serve: (amount) =>
    serve((channel) =>
      Effect.gen(function* () {
        for (let left = amount; left > 0;) {
          const chunk = yield* channel.read
          if (!(chunk instanceof Uint8Array)) return
          left -= chunk.length
          channel.flow.release(chunk)
        }
        yield* channel.write(Buffer.from([1]))
        yield* channel.read
      })
    ),
  run: (port, amount) =>
    run(
      Effect.gen(function* () {
        const channel = yield* connect(suite, port)
        const block = Buffer.alloc(blockBytes, 1)
        const start = performance.now()
        for (let left = amount; left > 0; left -= block.length) yield* channel.write(block)
        yield* channel.read
        return { seconds: (performance.now() - start) / 1000 }
      })
    )
})

/** The server closes each authenticated channel; the client waits for that. */
const handshakes = (suite: Suite): Work => ({
  serve: () => serve(() => Effect.void),
  run: async (port, amount) => {
    const one = Effect.flatMap(connect(suite, port), ({ read }) => read)
    return { seconds: await seconds(() => crowd(amount, () => run(one))) }
  }
})

/**
 * Refusals that wait for their time at once: a server holds them for half a second each, and fewer
 * than this of one source do not evict each other.
 */
const refusalsAtOnce = 48

/** Connects with a key that the server does not know, and waits for its refusal. */
const refusals = (suite: Suite): Work => ({
  serve: () => serve(() => Effect.void),
  run: async (port, amount) => {
    const refused = Effect.flip(Effect.asVoid(connect(suite, port, true)))
    return { seconds: await seconds(() => crowd(amount, () => run(refused), refusalsAtOnce)) }
  }
})

/** Connects and closes, one at a time, while others keep connections open that send nothing. */
const halfOpen = (suite: Suite): Work => ({
  serve: () => serve(({ read }) => read),
  run: async (port, amount) => {
    const others = await openHalf(port)
    const times: Array<number> = []
    for (let count = 0; count < amount; count++) {
      const start = performance.now()
      await run(
        Effect.tap(connect(suite, port), () =>
          Effect.sync(() => times.push((performance.now() - start) * 1000))
        )
      )
    }
    const { p50, p95 } = percentiles(times)
    return { p50, p95, halfOpen: others.stop() }
  }
})

const roundTrips = (suite: Suite): Work => ({
  serve: () => serveMessages(nowhere),
  run: (port, amount) =>
    run(
      Effect.gen(function* () {
        const client = yield* connectClient(suite, port)
        const message = [Buffer.alloc(messageBytes, 1)]
        const times: Array<number> = []
        for (let count = 0; count < amount; count++) {
          const start = performance.now()
          yield* client.send(message)
          times.push((performance.now() - start) * 1000)
        }
        return percentiles(times)
      })
    )
})

/** Bytes of messages in flight: 16 batches of 1,000 messages of 100 bytes, at least two batches. */
const inFlightBytes = 16 * 1000 * messageBytes
const batchMessages = 1000
const batchBytes = 256 * 1024

/** Messages of a size, in batches, with a receipt for each batch. */
const messages = (
  suite: Suite,
  inbox: Layer.Layer<Inbox, unknown> = nowhere,
  size = messageBytes
): Work => ({
  serve: () => serveMessages(inbox),
  run: (port, amount) =>
    run(
      Effect.gen(function* () {
        const client = yield* connectClient(suite, port)
        const perBatch = Math.max(1, Math.min(batchMessages, Math.floor(batchBytes / size), amount))
        const batch = Array.from({ length: perBatch }, () => Buffer.alloc(size, 1))
        const concurrency = Math.max(2, Math.min(16, Math.floor(inFlightBytes / (perBatch * size))))
        const start = performance.now()
        yield* Effect.forEach(Array.from({ length: amount / perBatch }), () => client.send(batch), {
          concurrency,
          discard: true
        })
        return { seconds: (performance.now() - start) / 1000 }
      })
    )
})

const idle = (suite: Suite): Work => ({
  serve: () => serve(({ read }) => read),
  run: async (port, amount) => {
    await crowd(amount, () =>
      run(
        Effect.gen(function* () {
          const connected = yield* Deferred.make<void>()
          yield* connect(suite, port).pipe(
            Effect.zipRight(Deferred.succeed(connected, undefined)),
            Effect.zipRight(Effect.never),
            Effect.scoped,
            Effect.forkDaemon
          )
          yield* Deferred.await(connected)
        })
      )
    )
    return {}
  }
})

/** Sends messages into the inbox. */
export const into = (inbox: Layer.Layer<Inbox, unknown>): Side => ({
  messages: messages(suiteNamed("NNpsk0"), inbox)
})

export const messagesOfSize = (size: number): Side => ({
  messages: messages(suiteNamed("NNpsk0"), nowhere, size)
})

export const sealwire = (name: SuiteName): Omit<Required<Side>, "firstBytes"> => {
  const suite = suiteNamed(name)
  return {
    bulk: bulk(suite),
    handshakes: handshakes(suite),
    roundTrips: roundTrips(suite),
    messages: messages(suite),
    idle: idle(suite),
    refusals: refusals(suite),
    halfOpen: halfOpen(suite)
  }
}
