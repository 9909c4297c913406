// Two sides that share a code exchange their keys; a wrong code voids it and reveals nothing.
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { sample, sampled } from "../../fixtures/sample.ts"
import * as Code from "../../../src/bytes/Code.ts"
import { Secret } from "../../../src/bytes/Secret.ts"
import * as Channel from "../../../src/channel/Channel.ts"
import * as Hello from "../../../src/channel/Hello.ts"
import { encodeFrame } from "../../../src/channel/Frame.ts"
import { limits as channelLimits } from "../../../src/channel/limits.ts"
import { pairingSuite, suiteNamed, suites } from "../../../src/channel/Suite.ts"
import { generate } from "../../../src/keys/KeyPair.ts"
import { HandshakeState } from "../../../src/noise/HandshakeState.ts"
import * as Pairing from "../../../src/services/pairing/Pairing.ts"
import type { Address } from "../../../src/transports/Address.ts"
import type { Connection } from "../../../src/transports/Connection.ts"
import { Transport } from "../../../src/transports/index.ts"
import { layerFasterClock, recording, anyPort } from "../../channel/rig.ts"
import { pause, withTimeout } from "../../../src/testing/steps.ts"

const mail = generate()
const laptop = generate()

const accept = ({ suggestion }: Pairing.Partner) => Effect.succeed(`my-${suggestion}`)

type Options = Partial<Pairing.PairOptions<string>>

/** Starts a host, and records its events. */
const startHost = (options: Options = {}) =>
  Effect.gen(function* () {
    const code = Secret.random(Code.length)
    const events: Array<Pairing.HostEvent> = []
    const listening = yield* Deferred.make<Address>()
    const on = (event: Pairing.HostEvent) => {
      events.push(event)
      return event._tag === "Listening" ? Deferred.succeed(listening, event.address) : Effect.void
    }
    const host = yield* Effect.fork(
      Pairing.host({
        address: anyPort,
        code,
        identity: mail,
        suggestion: "mail",
        confirm: accept,
        ...options,
        on
      })
    )
    const address = yield* withTimeout("the host", Deferred.await(listening))
    const refusals = () =>
      events.flatMap((event) => (event._tag === "ConnectionRefused" ? [event.reason] : []))
    return { code, address, host, refusals }
  })

type RunningHost = Effect.Effect.Success<ReturnType<typeof startHost>>

const joinHost = ({ address, code }: RunningHost, options: Options = {}) =>
  Pairing.join({
    address,
    code,
    identity: laptop,
    suggestion: "laptop",
    confirm: accept,
    ...options
  })

/** Waits for the end, and returns the result or the error. */
const resultOf = <A, E>(what: string, fiber: Fiber.RuntimeFiber<A, E>) =>
  withTimeout(what, Effect.either(Fiber.join(fiber))).pipe(
    Effect.map((result) =>
      result._tag === "Right" ? { ok: result.right } : { failed: result.left }
    )
  )

const run = <A, E, R>(what: string, effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Effect.fork(effect), (fiber) => resultOf(what, fiber))

/** Hello and message 1 of a client that has this code. */
const helloAndMessage1 = (code: Secret, hello = Hello.encode(pairingSuite)): Buffer => {
  const state = new HandshakeState({
    protocol: pairingSuite.protocol,
    initiator: true,
    prologue: Hello.prologue(hello, "", Pairing.application),
    psks: [Pairing.derivePsk(code)],
    s: laptop
  })
  return Buffer.concat([hello, encodeFrame(state.writeMessage(new Uint8Array(0)) as Uint8Array)])
}

/** Sends these bytes; returns the number of bytes received until the connection ended. */
const sendRaw = ({ address }: RunningHost, bytes: Uint8Array) =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const connection = yield* transport.connect(address)
    yield* connection.write(bytes)
    return yield* countReceived(connection)
  }).pipe(Effect.scoped, (running) => withTimeout("the end of the connection", running))

const countReceived = (connection: Connection) =>
  Effect.gen(function* () {
    let bytes = 0
    for (;;) {
      const chunk = yield* Effect.orElseSucceed(connection.read, () => undefined)
      if (chunk === undefined) return bytes
      bytes += chunk.length
    }
  })

// Each refusal takes half a second.
const live = <A, E, R>(effect: Effect.Effect<A, E, R | Transport>) =>
  effect.pipe(Effect.provide(Transport.layerMemory()), Effect.provide(layerFasterClock(10)))

const hello = Hello.encode(pairingSuite)

describe("the right code", () => {
  it.scopedLive("gives each side the other's key, under the name that its user chose", () =>
    Effect.gen(function* () {
      const running = yield* startHost()
      const joined = yield* run("the joining side", joinHost(running))
      expect(joined).toMatchObject({
        ok: { name: "my-mail", suggestion: "mail", publicKey: mail.publicKey }
      })
      const hosted = yield* resultOf("the host", running.host)
      expect(hosted).toMatchObject({
        ok: { name: "my-laptop", suggestion: "laptop", publicKey: laptop.publicKey }
      })
    }).pipe(live)
  )

  it.scopedLive("succeeds on neither side before both have confirmed", () =>
    Effect.gen(function* () {
      for (const late of ["host", "joiner"] as const) {
        const answer = yield* Deferred.make<string>()
        const slow = { confirm: () => Deferred.await(answer) }
        const running = yield* startHost(late === "host" ? slow : {})
        const join = yield* Effect.fork(joinHost(running, late === "joiner" ? slow : {}))
        yield* pause(100)
        expect([yield* running.host.poll, yield* join.poll].map(({ _tag }) => _tag)).toEqual([
          "None",
          "None"
        ])
        yield* Deferred.succeed(answer, "late")
        expect(yield* resultOf("the host", running.host)).toMatchObject({
          ok: { name: late === "host" ? "late" : "my-laptop" }
        })
        expect(yield* resultOf("the joining side", join)).toMatchObject({
          ok: { name: late === "joiner" ? "late" : "my-mail" }
        })
      }
    }).pipe(live)
  )

  it.scopedLive.each(["host", "joiner"] as const)(
    "fails on both sides when the %s declines, and interrupts the other's prompt",
    (who) =>
      Effect.gen(function* () {
        const interruptions: Array<string> = []
        const no = { confirm: () => Effect.succeed(undefined) }
        const asking = {
          confirm: () =>
            Effect.onInterrupt(Effect.never, () =>
              Effect.sync(() => {
                interruptions.push("interrupted")
              })
            )
        }
        const running = yield* startHost(who === "host" ? no : asking)
        const joined = yield* run(
          "the joining side",
          joinHost(running, who === "joiner" ? no : asking)
        )
        const hosted = yield* resultOf("the host", running.host)
        expect(joined).toMatchObject({
          failed: { _tag: "PairingDeclined", by: who === "joiner" ? "this side" : "mail" }
        })
        expect(hosted).toMatchObject({
          failed: { _tag: "PairingDeclined", by: who === "host" ? "this side" : "laptop" }
        })
        expect(interruptions).toEqual(["interrupted"])
      }).pipe(live)
  )

  it.scopedLive("declines when the confirmation of one side fails", () =>
    Effect.gen(function* () {
      const running = yield* startHost({ confirm: () => Effect.fail("its key is revoked") })
      expect(yield* run("the joining side", joinHost(running))).toMatchObject({
        failed: { _tag: "PairingDeclined", by: "mail" }
      })
      expect(yield* resultOf("the host", running.host)).toEqual({ failed: "its key is revoked" })
    }).pipe(live)
  )

  it.scopedLive("pairs one of two simultaneous clients and refuses the other", () =>
    Effect.gen(function* () {
      const running = yield* startHost()
      const both = yield* Effect.all(
        [run("the first", joinHost(running)), run("the second", joinHost(running))],
        {
          concurrency: 2
        }
      )
      expect(both.filter((one) => "ok" in one).length).toBe(1)
      expect(both).toContainEqual({ failed: expect.objectContaining({ _tag: "PairingRefused" }) })
      expect(yield* resultOf("the host", running.host)).toMatchObject({ ok: { name: "my-laptop" } })
    }).pipe(live)
  )

  it.scopedLive("is refused a second time", () =>
    Effect.gen(function* () {
      const answer = yield* Deferred.make<string>()
      const running = yield* startHost({ confirm: () => Deferred.await(answer) })
      const join = yield* Effect.fork(joinHost(running))
      yield* pause(50)
      // While both confirmations are pending.
      expect(yield* run("the second", joinHost(running))).toMatchObject({
        failed: { _tag: "PairingRefused" }
      })
      expect(yield* sendRaw(running, helloAndMessage1(running.code))).toBe(0)
      expect(running.refusals()).toEqual(["the code has been used", "the code has been used"])
      yield* Deferred.succeed(answer, "one")
      expect(yield* resultOf("the host", running.host)).toMatchObject({ ok: { name: "one" } })
      expect(yield* resultOf("the first", join)).toMatchObject({ ok: { name: "my-mail" } })
    }).pipe(live)
  )
})

describe("a wrong code", () => {
  it.scopedLive("voids the code and gets no answer", () =>
    Effect.gen(function* () {
      const running = yield* startHost()
      const wrong = yield* Effect.fork(joinHost(running, { code: Secret.random(Code.length) }))
      yield* pause(10)
      // The code is void at once, while its host still runs.
      expect(yield* run("the right code, too late", joinHost(running))).toMatchObject({
        failed: { _tag: "PairingRefused" }
      })
      expect(yield* resultOf("the wrong code", wrong)).toMatchObject({
        failed: { _tag: "PairingRefused" }
      })
      expect(yield* resultOf("the host", running.host)).toMatchObject({
        failed: { _tag: "PairingFailed", reason: "decrypt failed" }
      })
      expect(yield* run("afterwards", joinHost(running))).toMatchObject({
        failed: { _tag: "ConnectFailed" }
      })
    }).pipe(live)
  )

  it.effect("is refused like every other client: no byte, at the next half second", () =>
    Effect.gen(function* () {
      const attempts: ReadonlyArray<readonly [string, Uint8Array]> = [
        ["a wrong code", helloAndMessage1(Secret.random(Code.length))],
        [
          "another suite",
          Buffer.concat([Hello.encode(suiteNamed("NNpsk0")), encodeFrame(Buffer.alloc(48))])
        ],
        ["no hello", Buffer.alloc(200, 7)]
      ]
      for (const [name, bytes] of attempts) {
        const running = yield* startHost()
        const refused = yield* Effect.fork(sendRaw(running, bytes))
        yield* pause(20)
        yield* TestClock.adjust(channelLimits.refusalQuantumMillis - 1)
        yield* pause(20)
        expect([name, (yield* refused.poll)._tag]).toEqual([name, "None"])
        yield* TestClock.adjust(1)
        expect([name, yield* withTimeout(`the end of ${name}`, Fiber.join(refused))]).toEqual([
          name,
          0
        ])
        yield* Fiber.interruptFork(running.host)
        yield* TestClock.adjust("20 seconds")
      }
    }).pipe(Effect.provide(Transport.layerMemory()))
  )

  it.scopedLive(sampled("is any code that differs in a single bit"), () =>
    Effect.forEach(
      sample(
        Array.from({ length: 8 * Code.length }, (_, bit) => bit),
        40
      ),
      (bit) =>
        Effect.gen(function* () {
          const running = yield* startHost()
          const changed = Buffer.from(running.code.expose())
          changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
          expect(
            yield* run(`bit ${bit}`, joinHost(running, { code: new Secret(changed) }))
          ).toMatchObject({
            failed: { _tag: "PairingRefused" }
          })
          expect(yield* resultOf("the host", running.host)).toMatchObject({
            failed: { _tag: "PairingFailed" }
          })
        }),
      { concurrency: 32, discard: true }
    ).pipe(live)
  )
})

describe("an unauthenticated client", () => {
  it.scopedLive("leaves the code valid unless it sends a complete message 1", () =>
    Effect.gen(function* () {
      const running = yield* startHost()
      const first = helloAndMessage1(running.code)
      const garbage = [
        Buffer.from(
          "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8\r\nAccept: */*\r\n\r\n"
        ),
        Buffer.alloc(300, 0xff),
        ...suites.map((suite) =>
          Buffer.concat([Hello.encode(suite), encodeFrame(Buffer.alloc(suite.lengths[0]))])
        ),
        Buffer.concat([Buffer.from(hello).fill(9, 4, 5), first.subarray(8)])
      ]
      for (const bytes of garbage) expect(yield* sendRaw(running, bytes)).toBe(0)
      expect(running.refusals().length).toBe(garbage.length)
      const transport = yield* Transport
      // Message 1 without its last byte, and no byte at all.
      for (const bytes of [first.subarray(0, -1), new Uint8Array(0)]) {
        const connection = yield* transport.connect(running.address)
        if (bytes.length > 0) yield* connection.write(bytes)
        yield* connection.abort
      }
      const silent = yield* transport.connect(running.address)
      expect(yield* run("the joining side", joinHost(running))).toMatchObject({
        ok: { name: "my-mail" }
      })
      expect(yield* resultOf("the host", running.host)).toMatchObject({ ok: { name: "my-laptop" } })
      // The silent connection does not delay the host's end.
      expect(yield* withTimeout("the end of the silent one", countReceived(silent))).toBe(0)
    }).pipe(live)
  )

  it.scopedLive("voids the code of the next host by a replayed message 1", () =>
    Effect.gen(function* () {
      const written: Array<Uint8Array> = []
      const running = yield* startHost()
      const transport = yield* Transport
      const recorded = Transport.of({
        ...transport,
        connect: (address) => Effect.map(transport.connect(address), recording(written))
      })
      expect(
        yield* run(
          "the recorded pairing",
          Effect.provideService(joinHost(running), Transport, recorded)
        )
      ).toMatchObject({
        ok: { name: "my-mail" }
      })
      expect(yield* resultOf("the host", running.host)).toMatchObject({ ok: {} })
      const stream = Buffer.concat(written)
      const next = yield* startHost()
      // Another code gives another key.
      expect(yield* sendRaw(next, stream)).toBe(0)
      expect(yield* resultOf("the next host", next.host)).toMatchObject({
        failed: { _tag: "PairingFailed" }
      })
    }).pipe(live)
  )

  it.scopedLive("voids the code when it leaves after message 2", () =>
    Effect.gen(function* () {
      const running = yield* startHost()
      const transport = yield* Transport
      const connection = yield* transport.connect(running.address)
      yield* connection.write(helloAndMessage1(running.code))
      expect((yield* withTimeout("message 2", connection.read))?.length).toBe(2 + 96)
      yield* connection.abort
      expect(yield* resultOf("the host", running.host)).toMatchObject({
        failed: { _tag: "PairingFailed", reason: "it closed the connection" }
      })
    }).pipe(live)
  )
})

/** Completes the handshake, sends these CONTROL messages, and leaves in the given way. */
const rawPartner = (
  running: RunningHost,
  messages: ReadonlyArray<string | Uint8Array>,
  how: "ends" | "is cut" | "stays"
) =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const connection = yield* transport.connect(running.address)
    const keys = {
      serverName: "",
      application: Pairing.application,
      code: Pairing.derivePsk(running.code),
      identity: laptop
    }
    const channel = yield* Channel.connect(connection, keys)
    for (const message of messages) yield* channel.sendControl(Buffer.from(message))
    // Until the host has answered.
    yield* pause(50)
    if (how === "is cut") yield* connection.abort
    if (how === "stays") yield* Effect.never
  }).pipe(Effect.scoped)

const name = "\u0001laptop"
const confirmed = "\u0002"
const agreed = "\u0004"

describe("a partner with the right code", () => {
  it.scopedLive.each([
    ["is cut before its name", [], "is cut", "PairingBroken"],
    ["is cut between its name and its confirmation", [name], "is cut", "PairingBroken"],
    ["is cut after its confirmation", [name, confirmed], "is cut", "PairingBroken"],
    ["ends without a confirmation", [name], "ends", "PairingBroken"],
    ["ends in good order after its confirmation", [name, confirmed], "ends", "PairingBroken"],
    ["sends an invalid name", ["\u0001../../etc"], "stays", "ChannelTampered"],
    ["sends an empty name", ["\u0001"], "stays", "ChannelTampered"],
    ["sends a name that is not UTF-8", [Buffer.from([1, 0xff, 0xfe])], "stays", "ChannelTampered"],
    ["sends a name with a second line", [`${name}\n* mallory`], "stays", "ChannelTampered"],
    ["confirms before it sends its name", [confirmed], "stays", "ChannelTampered"],
    ["sends an unknown message", [name, "\u0005"], "stays", "ChannelTampered"],
    ["sends a confirmation with a body", [name, `${confirmed}!`], "stays", "ChannelTampered"],
    ["confirms twice", [name, confirmed, confirmed], "stays", "ChannelTampered"],
    ["agrees before it confirms", [name, agreed], "stays", "ChannelTampered"],
    ["declines after it confirmed", [name, confirmed, "\u0003"], "stays", "ChannelTampered"]
  ] as const)("that %s is not paired with", ([, messages, how, tag]) =>
    Effect.gen(function* () {
      const running = yield* startHost()
      const played = yield* Effect.fork(Effect.ignore(rawPartner(running, messages, how)))
      expect(yield* resultOf("the host", running.host)).toMatchObject({ failed: { _tag: tag } })
      yield* Fiber.interruptFork(played)
    }).pipe(live)
  )

  it.scopedLive("that disconnects after its confirmation interrupts the prompt on this side", () =>
    Effect.gen(function* () {
      const interrupted = yield* Deferred.make<void>()
      const running = yield* startHost({
        confirm: () =>
          Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
      })
      yield* Effect.fork(Effect.ignore(rawPartner(running, [name, confirmed], "is cut")))
      expect(yield* resultOf("the host", running.host)).toMatchObject({
        failed: { _tag: "PairingBroken" }
      })
      yield* withTimeout("the end of the question", Deferred.await(interrupted))
    }).pipe(live)
  )

  it.scopedLive.each(["ends", "is cut"] as const)(
    "that %s after the last message is paired with",
    (how) =>
      Effect.gen(function* () {
        const running = yield* startHost()
        yield* Effect.fork(Effect.ignore(rawPartner(running, [name, confirmed, agreed], how)))
        expect(yield* resultOf("the host", running.host)).toMatchObject({
          ok: { name: "my-laptop" }
        })
      }).pipe(live)
  )
})

describe("the deadlines", () => {
  it.effect("a code expires after ten minutes", () =>
    Effect.gen(function* () {
      const running = yield* startHost()
      yield* TestClock.adjust("599 seconds")
      yield* pause(5)
      expect((yield* running.host.poll)._tag).toBe("None")
      yield* TestClock.adjust("1 second")
      expect(yield* resultOf("the host", running.host)).toMatchObject({
        failed: { _tag: "PairingExpired", deadline: "code" }
      })
      expect(yield* run("too late", joinHost(running))).toMatchObject({
        failed: { _tag: "ConnectFailed" }
      })
    }).pipe(Effect.provide(Transport.layerMemory()))
  )

  it.effect(
    "a pairing that has begun outlives its code, and has ten minutes for both confirmations",
    () =>
      Effect.gen(function* () {
        const running = yield* startHost({ confirm: () => Effect.never })
        yield* TestClock.adjust("599 seconds")
        const join = yield* Effect.fork(joinHost(running, { confirm: () => Effect.never }))
        yield* pause(100)
        // In steps, so that neither side's keepalive times out.
        for (let step = 0; step < 599; step += 20) {
          yield* TestClock.adjust("20 seconds")
          yield* pause(2)
          if (step < 579)
            expect([(yield* running.host.poll)._tag, (yield* join.poll)._tag]).toEqual([
              "None",
              "None"
            ])
        }
        yield* TestClock.adjust("1 second")
        const expired = { failed: { _tag: expect.stringMatching(/^Pairing(?:Expired|Broken)$/) } }
        expect(yield* resultOf("the host", running.host)).toMatchObject(expired)
        expect(yield* resultOf("the joining side", join)).toMatchObject(expired)
      }).pipe(Effect.provide(Transport.layerMemory()))
  )
})

it.scopedLive("interrupting one side ends the other", () =>
  Effect.gen(function* () {
    const running = yield* startHost({ confirm: () => Effect.never })
    const join = yield* Effect.fork(joinHost(running))
    yield* pause(50)
    yield* withTimeout("the host's end", Fiber.interrupt(running.host))
    expect(yield* resultOf("the joining side", join)).toMatchObject({
      failed: { _tag: "PairingBroken" }
    })

    const next = yield* startHost({ confirm: () => Effect.never })
    const leaving = yield* Effect.fork(joinHost(next, { confirm: () => Effect.never }))
    yield* pause(50)
    expect(
      Exit.isInterrupted(yield* withTimeout("the joining side's end", Fiber.interrupt(leaving)))
    ).toBe(true)
    expect(yield* resultOf("the host", next.host)).toMatchObject({
      failed: { _tag: "PairingBroken" }
    })
  }).pipe(live)
)
