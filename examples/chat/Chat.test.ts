// The chat service over memory: rooms, its own rule option, its own metric, and invalid lines.
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Metric from "effect/Metric"
import * as MetricState from "effect/MetricState"
import {
  Address,
  KeyPair,
  parseAuthorized,
  PeerList,
  PeerSessions,
  PublicKey,
  ruleOptions,
  Server,
  Transport
} from "sealwire"
import { chat, join, linesPerMinute, metrics, service } from "./Chat.ts"

const address = Address.tcp("127.0.0.1", 7000)
const [server, alice, bob] = [KeyPair.generate(), KeyPair.generate(), KeyPair.generate()]

const as = (identity: KeyPair.KeyPair) => ({
  address,
  keys: { identity, serverKey: server.publicKey }
})

/** Serves alice without restrictions, and bob with these options; returns the events. */
const serving = (options: string) =>
  Effect.gen(function* () {
    const text = `${PublicKey.encode(alice.publicKey)} alice\n${options} ${PublicKey.encode(bob.publicKey)} bob\n`
    const parse = parseAuthorized(ruleOptions(chat))
    const peers = yield* PeerSessions.make(new PeerList(yield* parse("authorized_peers", text)))
    const events: Array<Server.ServerEvent> = []
    yield* Server.listen({
      address,
      keys: { identities: [server], authorize: peers.authorize },
      peers,
      services: [service()],
      on: (event) => Effect.sync(() => events.push(event))
    })
    return events
  })

const linesTotal = () =>
  Metric.unsafeSnapshot().reduce(
    (sum, { metricKey, metricState }) =>
      metricKey.name === metrics.lines.name && MetricState.isCounterState(metricState)
        ? sum + Number(metricState.count)
        : sum,
    0
  )

const memory = Effect.provide(Transport.layerMemory())

it.scopedLive("a line reaches the other clients of its room, and is counted", () =>
  Effect.gen(function* () {
    yield* serving("")
    const before = linesTotal()
    const [one, other] = [yield* join(as(alice), "lounge"), yield* join(as(bob), "lounge")]
    const [cook, guest] = [yield* join(as(bob), "kitchen"), yield* join(as(alice), "kitchen")]
    expect(yield* one.next).toBe("welcome to lounge, alice")
    expect(yield* other.next).toBe("welcome to lounge, bob")
    expect(yield* guest.next).toBe("welcome to kitchen, alice")
    yield* cook.say("dinner is ready")
    expect(yield* guest.next).toBe("bob: dinner is ready")
    yield* one.say("good morning")
    expect(yield* other.next).toBe("alice: good morning")
    yield* other.say("hello")
    expect(yield* one.next).toBe("bob: hello")
    expect(linesTotal() - before).toBe(3)
  }).pipe(memory)
)

it.scopedLive("the rule option of the service limits a client", () =>
  Effect.gen(function* () {
    const events = yield* serving('lines-per-minute="2"')
    const client = yield* join(as(bob), "lounge")
    yield* client.next
    for (const line of ["one", "two", "three"]) yield* client.say(line)
    expect(yield* Effect.flip(client.next)).toMatchObject({ _tag: "ChannelRefused" })
    expect(events.at(-1)).toMatchObject({
      _tag: "SessionEnded",
      service: "chat lounge",
      counted: { lines: 2 },
      error: { message: "bob refused: it exceeds its lines per minute" }
    })
  }).pipe(memory)
)

it.scopedLive("a client whose rules do not name the service is refused", () =>
  Effect.gen(function* () {
    yield* serving('services="message"')
    const client = yield* join(as(bob), "lounge")
    expect(yield* Effect.flip(client.next)).toMatchObject({ _tag: "ChannelRefused" })
  }).pipe(memory)
)

it.scopedLive("an invalid line ends the session without an orderly close", () =>
  Effect.gen(function* () {
    yield* serving("")
    const client = yield* join(as(alice), "lounge")
    yield* client.next
    yield* client.say("bell\u0007")
    expect(yield* Effect.flip(client.next)).toMatchObject({ _tag: "StreamTruncated" })
  }).pipe(memory)
)

it("a parser that does not know the service refuses its option and its name", () => {
  const key = PublicKey.encode(bob.publicKey)
  const text = `services="chat",lines-per-minute="2" ${key} bob\n`
  const [peer] = Either.getOrThrow(parseAuthorized(ruleOptions(chat))("peers", text))
  expect(peer?.rules.get(linesPerMinute)).toBe(2)
  for (const line of [`services="chat" ${key} bob\n`, `lines-per-minute="2" ${key} bob\n`])
    expect(Either.isLeft(parseAuthorized(ruleOptions())("peers", line))).toBe(true)
})
