// Two sides that share a code come to know each other's key; whoever has another code spends it and learns nothing.
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as Code from "../../../src/bytes/Code.ts"
import { Secret } from "../../../src/bytes/Secret.ts"
import * as Channel from "../../../src/channel/Channel.ts"
import * as Hello from "../../../src/channel/Hello.ts"
import { encodeFrame } from "../../../src/channel/FrameReader.ts"
import { limits as channelLimits } from "../../../src/channel/limits.ts"
import { pairingSuite, suites } from "../../../src/channel/Suite.ts"
import { generate } from "../../../src/keys/KeyPair.ts"
import { HandshakeState } from "../../../src/noise/HandshakeState.ts"
import * as Pairing from "../../../src/services/pairing/Pairing.ts"
import type { Address } from "../../../src/transports/Address.ts"
import type { Connection } from "../../../src/transports/Connection.ts"
import { Transport } from "../../../src/transports/index.ts"
import { faster, recording, somewhere } from "../../channel/rig.ts"
import { pause, soon } from "../../../src/testing/steps.ts"

const mail = generate()
const laptop = generate()

const yes = ({ suggestion }: Pairing.Partner) => Effect.succeed(`my-${suggestion}`)

type Options = Partial<Pairing.PairOptions<string>>

/** A host that waits, and what it tells. */
const waiting = (options: Options = {}) =>
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
        address: somewhere,
        code,
        identity: mail,
        suggestion: "mail",
        confirm: yes,
        ...options,
        on
      })
    )
    const address = yield* soon("the host", Deferred.await(listening))
    const strangers = () =>
      events.flatMap((event) => (event._tag === "ConnectionRefused" ? [event.reason] : []))
    return { code, address, host, strangers }
  })

type Waiting = Effect.Effect.Success<ReturnType<typeof waiting>>

const joining = ({ address, code }: Waiting, options: Options = {}) =>
  Pairing.join({ address, code, identity: laptop, suggestion: "laptop", confirm: yes, ...options })

/** How it ended. */
const ended = <A, E>(what: string, fiber: Fiber.RuntimeFiber<A, E>) =>
  soon(what, Effect.either(Fiber.join(fiber))).pipe(
    Effect.map((result) =>
      result._tag === "Right" ? { ok: result.right } : { failed: result.left }
    )
  )

const tried = <A, E, R>(what: string, effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Effect.fork(effect), (fiber) => ended(what, fiber))

/** Hello and message 1 of somebody who holds this code. */
const firstOf = (code: Secret, hello = Hello.encode(pairingSuite)): Buffer => {
  const state = new HandshakeState({
    protocol: pairingSuite.protocol,
    initiator: true,
    prologue: Hello.prologue(hello, "", Pairing.application),
    psks: [Pairing.pskOf(code)],
    s: laptop
  })
  return Buffer.concat([hello, encodeFrame(state.writeMessage(new Uint8Array(0)) as Uint8Array)])
}

/** Sends these bytes, and what came back until the connection was ended. */
const stranger = ({ address }: Waiting, bytes: Uint8Array) =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const connection = yield* transport.connect(address)
    yield* connection.write(bytes)
    return yield* heard(connection)
  }).pipe(Effect.scoped, (running) => soon("the end of a stranger", running))

const heard = (connection: Connection) =>
  Effect.gen(function* () {
    let bytes = 0
    for (;;) {
      const chunk = yield* Effect.orElseSucceed(connection.read, () => undefined)
      if (chunk === undefined) return bytes
      bytes += chunk.length
    }
  })

// Refusals take half a second each.
const live = <A, E, R>(effect: Effect.Effect<A, E, R | Transport>) =>
  effect.pipe(Effect.provide(Transport.layerMemory()), Effect.provide(faster(10)))

const hello = Hello.encode(pairingSuite)

describe("the right code", () => {
  it.scopedLive("makes each known to the other, under the name that its person gives", () =>
    Effect.gen(function* () {
      const waits = yield* waiting()
      const joined = yield* tried("the one who joins", joining(waits))
      expect(joined).toMatchObject({
        ok: { name: "my-mail", suggestion: "mail", publicKey: mail.publicKey }
      })
      const hosted = yield* ended("the host", waits.host)
      expect(hosted).toMatchObject({
        ok: { name: "my-laptop", suggestion: "laptop", publicKey: laptop.publicKey }
      })
    }).pipe(live)
  )

  it.scopedLive("neither is done before both have confirmed", () =>
    Effect.gen(function* () {
      for (const late of ["host", "joiner"] as const) {
        const answer = yield* Deferred.make<string>()
        const slow = { confirm: () => Deferred.await(answer) }
        const waits = yield* waiting(late === "host" ? slow : {})
        const join = yield* Effect.fork(joining(waits, late === "joiner" ? slow : {}))
        yield* pause(100)
        expect([yield* waits.host.poll, yield* join.poll].map(({ _tag }) => _tag)).toEqual([
          "None",
          "None"
        ])
        yield* Deferred.succeed(answer, "late")
        expect(yield* ended("the host", waits.host)).toMatchObject({
          ok: { name: late === "host" ? "late" : "my-laptop" }
        })
        expect(yield* ended("the one who joins", join)).toMatchObject({
          ok: { name: late === "joiner" ? "late" : "my-mail" }
        })
      }
    }).pipe(live)
  )

  it.scopedLive.each(["host", "joiner"] as const)(
    "neither has a partner when the %s declines, and the other's question ends",
    (who) =>
      Effect.gen(function* () {
        const asked: Array<string> = []
        const no = { confirm: () => Effect.succeed(undefined) }
        const asking = {
          confirm: () =>
            Effect.onInterrupt(Effect.never, () =>
              Effect.sync(() => {
                asked.push("interrupted")
              })
            )
        }
        const waits = yield* waiting(who === "host" ? no : asking)
        const joined = yield* tried(
          "the one who joins",
          joining(waits, who === "joiner" ? no : asking)
        )
        const hosted = yield* ended("the host", waits.host)
        expect(joined).toMatchObject({
          failed: { _tag: "PairingDeclined", by: who === "joiner" ? "this side" : "mail" }
        })
        expect(hosted).toMatchObject({
          failed: { _tag: "PairingDeclined", by: who === "host" ? "this side" : "laptop" }
        })
        expect(asked).toEqual(["interrupted"])
      }).pipe(live)
  )

  it.scopedLive("what keeps one side from confirming declines for it", () =>
    Effect.gen(function* () {
      const waits = yield* waiting({ confirm: () => Effect.fail("its key is revoked") })
      expect(yield* tried("the one who joins", joining(waits))).toMatchObject({
        failed: { _tag: "PairingDeclined", by: "mail" }
      })
      expect(yield* ended("the host", waits.host)).toEqual({ failed: "its key is revoked" })
    }).pipe(live)
  )

  it.scopedLive("of two who come with it at once one is paired, and the other hears nothing", () =>
    Effect.gen(function* () {
      const waits = yield* waiting()
      const both = yield* Effect.all(
        [tried("the first", joining(waits)), tried("the second", joining(waits))],
        {
          concurrency: 2
        }
      )
      expect(both.filter((one) => "ok" in one).length).toBe(1)
      expect(both).toContainEqual({ failed: expect.objectContaining({ _tag: "PairingRefused" }) })
      expect(yield* ended("the host", waits.host)).toMatchObject({ ok: { name: "my-laptop" } })
    }).pipe(live)
  )

  it.scopedLive("opens nothing a second time", () =>
    Effect.gen(function* () {
      const answer = yield* Deferred.make<string>()
      const waits = yield* waiting({ confirm: () => Deferred.await(answer) })
      const join = yield* Effect.fork(joining(waits))
      yield* pause(50)
      // While the two people still look at each other's name.
      expect(yield* tried("the second", joining(waits))).toMatchObject({
        failed: { _tag: "PairingRefused" }
      })
      expect(yield* stranger(waits, firstOf(waits.code))).toBe(0)
      expect(waits.strangers()).toEqual(["the code has been used", "the code has been used"])
      yield* Deferred.succeed(answer, "one")
      expect(yield* ended("the host", waits.host)).toMatchObject({ ok: { name: "one" } })
      expect(yield* ended("the first", join)).toMatchObject({ ok: { name: "my-mail" } })
    }).pipe(live)
  )
})

describe("a wrong code", () => {
  it.scopedLive("voids the right one, and gets no answer", () =>
    Effect.gen(function* () {
      const waits = yield* waiting()
      const wrong = yield* Effect.fork(joining(waits, { code: Secret.random(Code.length) }))
      yield* pause(10)
      // It is spent the moment it was tried, and not only when its host is gone.
      expect(yield* tried("the right one, too late", joining(waits))).toMatchObject({
        failed: { _tag: "PairingRefused" }
      })
      expect(yield* ended("the wrong one", wrong)).toMatchObject({
        failed: { _tag: "PairingRefused" }
      })
      expect(yield* ended("the host", waits.host)).toMatchObject({
        failed: { _tag: "PairingFailed", reason: "decrypt failed" }
      })
      expect(yield* tried("afterwards", joining(waits))).toMatchObject({
        failed: { _tag: "ConnectFailed" }
      })
    }).pipe(live)
  )

  it.effect("looks like every other refusal: no byte, at the next half second", () =>
    Effect.gen(function* () {
      const attempts: ReadonlyArray<readonly [string, Uint8Array]> = [
        ["a wrong code", firstOf(Secret.random(Code.length))],
        ["another suite", Buffer.concat([Hello.encode(suites[0]), encodeFrame(Buffer.alloc(48))])],
        ["no hello", Buffer.alloc(200, 7)]
      ]
      for (const [name, bytes] of attempts) {
        const waits = yield* waiting()
        const refused = yield* Effect.fork(stranger(waits, bytes))
        yield* pause(20)
        yield* TestClock.adjust(channelLimits.refusalQuantumMillis - 1)
        yield* pause(20)
        expect([name, (yield* refused.poll)._tag]).toEqual([name, "None"])
        yield* TestClock.adjust(1)
        expect([name, yield* soon(`the end of ${name}`, Fiber.join(refused))]).toEqual([name, 0])
        yield* Fiber.interruptFork(waits.host)
        yield* TestClock.adjust("20 seconds")
      }
    }).pipe(Effect.provide(Transport.layerMemory()))
  )

  it.scopedLive("is also one that differs in a single bit, whichever", () =>
    Effect.forEach(
      Array.from({ length: 8 * Code.length }, (_, bit) => bit),
      (bit) =>
        Effect.gen(function* () {
          const waits = yield* waiting()
          const changed = Buffer.from(waits.code.expose())
          changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
          expect(
            yield* tried(`bit ${bit}`, joining(waits, { code: new Secret(changed) }))
          ).toMatchObject({
            failed: { _tag: "PairingRefused" }
          })
          expect(yield* ended("the host", waits.host)).toMatchObject({
            failed: { _tag: "PairingFailed" }
          })
        }),
      { concurrency: 32, discard: true }
    ).pipe(live)
  )
})

describe("a stranger", () => {
  it.scopedLive("who brings no whole message 1 of pairing spends nothing", () =>
    Effect.gen(function* () {
      const waits = yield* waiting()
      const first = firstOf(waits.code)
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
      for (const bytes of garbage) expect(yield* stranger(waits, bytes)).toBe(0)
      expect(waits.strangers().length).toBe(garbage.length)
      const transport = yield* Transport
      // All of it but the last byte, and then nothing; and one that says nothing at all.
      for (const bytes of [first.subarray(0, -1), new Uint8Array(0)]) {
        const connection = yield* transport.connect(waits.address)
        if (bytes.length > 0) yield* connection.write(bytes)
        yield* connection.abort
      }
      const silent = yield* transport.connect(waits.address)
      expect(yield* tried("the one who joins", joining(waits))).toMatchObject({
        ok: { name: "my-mail" }
      })
      expect(yield* ended("the host", waits.host)).toMatchObject({ ok: { name: "my-laptop" } })
      // Nobody waits for who says nothing.
      expect(yield* soon("the end of the silent one", heard(silent))).toBe(0)
    }).pipe(live)
  )

  it.scopedLive("who repeats a recorded message 1 spends the code, or is too late", () =>
    Effect.gen(function* () {
      const written: Array<Uint8Array> = []
      const waits = yield* waiting()
      const transport = yield* Transport
      const recorded = Transport.of({
        ...transport,
        connect: (address) => Effect.map(transport.connect(address), recording(written))
      })
      expect(
        yield* tried("the recorded one", Effect.provideService(joining(waits), Transport, recorded))
      ).toMatchObject({
        ok: { name: "my-mail" }
      })
      expect(yield* ended("the host", waits.host)).toMatchObject({ ok: {} })
      const stream = Buffer.concat(written)
      const again = yield* waiting()
      // Another code, and so another key.
      expect(yield* stranger(again, stream)).toBe(0)
      expect(yield* ended("the next host", again.host)).toMatchObject({
        failed: { _tag: "PairingFailed" }
      })
    }).pipe(live)
  )

  it.scopedLive("who opens message 1 and goes on no further has spent the code", () =>
    Effect.gen(function* () {
      const waits = yield* waiting()
      const transport = yield* Transport
      const connection = yield* transport.connect(waits.address)
      yield* connection.write(firstOf(waits.code))
      expect((yield* soon("message 2", connection.read))?.length).toBe(2 + 96)
      yield* connection.abort
      expect(yield* ended("the host", waits.host)).toMatchObject({
        failed: { _tag: "PairingFailed", reason: "it closed the connection" }
      })
    }).pipe(live)
  )
})

/** A partner that has done the handshake and says these CONTROL messages, then goes as told. */
const partner = (
  waits: Waiting,
  words: ReadonlyArray<string | Uint8Array>,
  how: "ends" | "is cut" | "stays"
) =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const connection = yield* transport.connect(waits.address)
    const keys = {
      suite: pairingSuite,
      serverName: "",
      application: Pairing.application,
      psk: Pairing.pskOf(waits.code),
      identity: laptop
    }
    const channel = yield* Channel.connect(connection, keys, () => Effect.void)
    for (const word of words) yield* channel.sendControl(Buffer.from(word))
    // Until the host has said all it wants to say to this.
    yield* pause(50)
    if (how === "is cut") yield* connection.abort
    if (how === "stays") yield* Effect.never
  }).pipe(Effect.scoped)

const named = "\u0001laptop"
const confirmed = "\u0002"
const agreed = "\u0004"

describe("a partner with the right code", () => {
  it.scopedLive.each([
    ["is cut before its name", [], "is cut", "PairingBroken"],
    ["is cut between its name and its word", [named], "is cut", "PairingBroken"],
    ["is cut after its word", [named, confirmed], "is cut", "PairingBroken"],
    ["ends without a word", [named], "ends", "PairingBroken"],
    ["ends after its word, in good order", [named, confirmed], "ends", "PairingBroken"],
    ["has a name that is none", ["\u0001../../etc"], "stays", "ChannelTampered"],
    ["has no name", ["\u0001"], "stays", "ChannelTampered"],
    ["has a name that is no text", [Buffer.from([1, 0xff, 0xfe])], "stays", "ChannelTampered"],
    ["has a name with more behind it", [`${named}\n* mallory`], "stays", "ChannelTampered"],
    ["confirms before it has said its name", [confirmed], "stays", "ChannelTampered"],
    ["says a word that there is not", [named, "\u0005"], "stays", "ChannelTampered"],
    ["says more than its word", [named, `${confirmed}!`], "stays", "ChannelTampered"],
    ["confirms twice", [named, confirmed, confirmed], "stays", "ChannelTampered"],
    ["has heard what was not said", [named, agreed], "stays", "ChannelTampered"],
    ["declines after its word", [named, confirmed, "\u0003"], "stays", "ChannelTampered"]
  ] as const)("that %s is not paired with", ([, words, how, tag]) =>
    Effect.gen(function* () {
      const waits = yield* waiting()
      const played = yield* Effect.fork(Effect.ignore(partner(waits, words, how)))
      expect(yield* ended("the host", waits.host)).toMatchObject({ failed: { _tag: tag } })
      yield* Fiber.interruptFork(played)
    }).pipe(live)
  )

  it.scopedLive("that goes after its word ends the question that is still open here", () =>
    Effect.gen(function* () {
      const interrupted = yield* Deferred.make<void>()
      const waits = yield* waiting({
        confirm: () =>
          Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
      })
      yield* Effect.fork(Effect.ignore(partner(waits, [named, confirmed], "is cut")))
      expect(yield* ended("the host", waits.host)).toMatchObject({
        failed: { _tag: "PairingBroken" }
      })
      yield* soon("the end of the question", Deferred.await(interrupted))
    }).pipe(live)
  )

  it.scopedLive.each(["ends", "is cut"] as const)(
    "that has said all and %s is paired with",
    (how) =>
      Effect.gen(function* () {
        const waits = yield* waiting()
        yield* Effect.fork(Effect.ignore(partner(waits, [named, confirmed, agreed], how)))
        expect(yield* ended("the host", waits.host)).toMatchObject({ ok: { name: "my-laptop" } })
      }).pipe(live)
  )
})

describe("time", () => {
  it.effect("a code is good for ten minutes", () =>
    Effect.gen(function* () {
      const waits = yield* waiting()
      yield* TestClock.adjust("599 seconds")
      yield* pause(5)
      expect((yield* waits.host.poll)._tag).toBe("None")
      yield* TestClock.adjust("1 second")
      expect(yield* ended("the host", waits.host)).toMatchObject({
        failed: { _tag: "PairingExpired", what: "code" }
      })
      expect(yield* tried("too late", joining(waits))).toMatchObject({
        failed: { _tag: "ConnectFailed" }
      })
    }).pipe(Effect.provide(Transport.layerMemory()))
  )

  it.effect(
    "a pairing that has begun outlives its code, and waits ten minutes for the two people",
    () =>
      Effect.gen(function* () {
        const waits = yield* waiting({ confirm: () => Effect.never })
        yield* TestClock.adjust("599 seconds")
        const join = yield* Effect.fork(joining(waits, { confirm: () => Effect.never }))
        yield* pause(100)
        // In steps that keep both sides' PINGs alive.
        for (let step = 0; step < 599; step += 20) {
          yield* TestClock.adjust("20 seconds")
          yield* pause(2)
          if (step < 579)
            expect([(yield* waits.host.poll)._tag, (yield* join.poll)._tag]).toEqual([
              "None",
              "None"
            ])
        }
        yield* TestClock.adjust("1 second")
        const expired = { failed: { _tag: expect.stringMatching(/^Pairing(?:Expired|Broken)$/) } }
        expect(yield* ended("the host", waits.host)).toMatchObject(expired)
        expect(yield* ended("the one who joins", join)).toMatchObject(expired)
      }).pipe(Effect.provide(Transport.layerMemory()))
  )
})

it.scopedLive("an interrupted host, or partner, leaves nobody waiting", () =>
  Effect.gen(function* () {
    const waits = yield* waiting({ confirm: () => Effect.never })
    const join = yield* Effect.fork(joining(waits))
    yield* pause(50)
    yield* soon("the host's end", Fiber.interrupt(waits.host))
    expect(yield* ended("the one who joins", join)).toMatchObject({
      failed: { _tag: "PairingBroken" }
    })

    const again = yield* waiting({ confirm: () => Effect.never })
    const leaving = yield* Effect.fork(joining(again, { confirm: () => Effect.never }))
    yield* pause(50)
    expect(Exit.isInterrupted(yield* soon("the leaver's end", Fiber.interrupt(leaving)))).toBe(true)
    expect(yield* ended("the host", again.host)).toMatchObject({
      failed: { _tag: "PairingBroken" }
    })
  }).pipe(live)
)
