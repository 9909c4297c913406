// Raw Noise with any other implementation, to find out which of two is wrong.
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Hex from "../../bytes/Hex.ts"
import {
  ChannelTampered,
  PeerDead,
  StreamTruncated,
  type ChannelError
} from "../../channel/ChannelErrors.ts"
import * as Address from "../../transports/Address.ts"
import type { Connection } from "../../transports/Connection.ts"
import { Transport } from "../../transports/index.ts"
import { commandSpec } from "../arguments/CommandSpec.ts"
import * as RawNoise from "./RawNoise.ts"
import { Report } from "../output/Report.ts"
import { jsonRecord } from "../output/events/index.ts"
import {
  flags,
  loadSecret,
  preSharedKeys,
  privateKey,
  validate,
  type Plan
} from "./noiseOptions.ts"

/** The initiator's limit for each echo, and for the peer's end of stream. */
const echoDeadline = "10 seconds"

interface Counters {
  messages: number
  bytes: number
}

/**
 * Sends each message and, unless the pattern is one-way, awaits its echo; then ends both
 * directions.
 */
const runInitiator = (
  noise: RawNoise.RawNoise,
  peer: string,
  { protocol, messages, rekeyAfter }: Plan,
  counters: Counters
) =>
  Effect.gen(function* () {
    const receive = Effect.timeoutFail(noise.receive, {
      duration: echoDeadline,
      onTimeout: () => new PeerDead({ peer })
    })
    for (const message of messages) {
      yield* noise.send(message)
      counters.messages++
      counters.bytes += message.length
      const rekeys = counters.messages % rekeyAfter === 0
      if (rekeys) yield* noise.rekey("send")
      if (protocol.pattern.oneWay) continue
      const echo = yield* receive
      if (echo === undefined)
        return yield* new StreamTruncated({ peer, code: `ended before echo ${counters.messages}` })
      if (Buffer.compare(echo, message) !== 0)
        return yield* new ChannelTampered({
          peer,
          detail: `echo ${counters.messages} differs from the message`
        })
      if (rekeys) yield* noise.rekey("receive")
    }
    yield* noise.end
    if ((yield* receive) !== undefined)
      return yield* new ChannelTampered({ peer, detail: "a message after the last echo" })
  })

/** Echoes each message, unless the pattern is one-way, until the peer ends. */
const runResponder = (
  noise: RawNoise.RawNoise,
  { protocol, rekeyAfter }: Plan,
  counters: Counters
) =>
  Effect.gen(function* () {
    for (;;) {
      const message = yield* noise.receive
      if (message === undefined) break
      counters.messages++
      counters.bytes += message.length
      const rekeys = counters.messages % rekeyAfter === 0
      if (rekeys) yield* noise.rekey("receive")
      if (protocol.pattern.oneWay) continue
      yield* noise.send(message)
      if (rekeys) yield* noise.rekey("send")
    }
    yield* noise.end
  })

/** Runs the handshake and the messages, and prints the result. */
const runSession = (
  connection: Connection,
  plan: Plan,
  keys: Pick<RawNoise.RawNoiseOptions, "staticKey" | "psks">
) =>
  Effect.gen(function* () {
    const report = yield* Report
    const { protocol, initiator, prologue, remoteStatic } = plan
    const noise = yield* RawNoise.open(connection, {
      hello: "none",
      protocol,
      initiator,
      ...keys,
      ...(prologue === undefined ? {} : { prologue }),
      ...(remoteStatic === undefined ? {} : { remoteStatic })
    })
    const counters: Counters = { messages: 0, bytes: 0 }
    const exchange: Effect.Effect<void, ChannelError> = initiator
      ? runInitiator(noise, connection.peer, plan, counters)
      : runResponder(noise, plan, counters)
    const result = yield* Effect.either(exchange)
    yield* report.print(
      jsonRecord("noise-session", {
        protocol: protocol.name,
        role: initiator ? "initiator" : "responder",
        handshakeHash: Hex.encode(noise.handshakeHash),
        remoteStatic: noise.remoteStatic === undefined ? null : Hex.encode(noise.remoteStatic),
        ...counters,
        ok: Either.isRight(result)
      })
    )
    yield* result
  })

/** Runs `use` on the first connection and aborts all others. */
const acceptOne = <R>(
  address: Address.Address,
  use: (connection: Connection) => Effect.Effect<void, ChannelError, R>
) =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const outcome = yield* Deferred.make<void, ChannelError>()
    let isTaken = false
    const listener = yield* transport.listen(address, (connection) =>
      Effect.suspend(() => {
        if (isTaken) return connection.abort
        isTaken = true
        return use(connection).pipe(
          Effect.onError(() => connection.abort),
          // Ctrl-C must not wait for a silent peer.
          Effect.raceFirst(Effect.zipRight(connection.draining, Effect.interrupt)),
          Effect.intoDeferred(outcome),
          Effect.asVoid
        )
      })
    )
    yield* Effect.logInfo(`listening on ${Address.format(listener.address)} for one connection`)
    yield* Deferred.await(outcome)
  })

export const debugNoise = commandSpec(
  {
    path: ["debug", "noise"],
    group: "Operate",
    summary:
      "raw Noise with any implementation; prints the handshake hash (for debugging, not a channel)",
    examples: [
      [
        "sealwire debug noise --plain --pattern XX --role responder --listen 127.0.0.1:8080 --static-file ./noise.key",
        "echo messages"
      ],
      [
        "sealwire debug noise --plain --pattern NNpsk0 --role initiator --to /run/noise.sock --psk-file ./psk",
        "send messages and check the echoes"
      ]
    ]
  },
  flags,
  (given) =>
    Effect.gen(function* () {
      const plan = yield* validate(given)
      const { endpoint, needs } = plan
      const staticKey =
        plan.staticKey === undefined ? undefined : yield* loadSecret(plan.staticKey, privateKey)
      const psk =
        plan.psk === undefined ? undefined : yield* loadSecret(plan.psk, preSharedKeys(needs.psks))
      const psks =
        psk === undefined
          ? []
          : Array.from({ length: needs.psks }, (_, index) =>
              psk.slice(32 * index, 32 * (index + 1))
            )
      const keys = { psks, ...(staticKey === undefined ? {} : { staticKey }) }
      const use = (connection: Connection) => runSession(connection, plan, keys)
      if (endpoint.listen) return yield* acceptOne(endpoint.address, use)
      const transport = yield* Transport
      yield* Effect.flatMap(transport.connect(endpoint.address), use)
    }).pipe(Effect.scoped, Effect.provide(Transport.layerNet))
)
