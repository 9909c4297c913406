// What a client can tell of a handshake that failed: each way in which a server or another program
// fails it has its own advice, and only those that are no refusal are tried again.
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as Channel from "../../src/channel/Channel.ts"
import { HandshakeFailed } from "../../src/channel/ChannelErrors.ts"
import type { HandshakeFailure } from "../../src/channel/HandshakeFailure.ts"
import { allSuites } from "../../src/channel/Suite.ts"
import { Secret } from "../../src/bytes/Secret.ts"
import { exitCode, exitCodeOf } from "../../src/cli/output/ExitCode.ts"
import { pause, withTimeout } from "../../src/testing/steps.ts"
import { Timers } from "../../src/transports/Timers.ts"
import { Transport } from "../../src/transports/index.ts"
import {
  anyPort,
  initiatorKeys,
  keysOf,
  layerFasterClock,
  listenAndRead,
  mallory,
  suiteOf
} from "./rig.ts"

/** The error of a client that talks to a listener which sends these bytes and stays. */
const answeredWith = (answer: Uint8Array, seconds: number, suite = suiteOf("IK")) =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const { address } = yield* transport.listen(anyPort, ({ write, read }) =>
      Effect.gen(function* () {
        yield* write(answer)
        while ((yield* read) !== undefined);
      }).pipe(Effect.ignore)
    )
    const connection = yield* transport.connect(address)
    const client = yield* Effect.fork(
      Effect.flip(
        Channel.connect(
          connection,
          keysOf(initiatorKeys(suite), () => Effect.succeed(true))
        )
      )
    )
    yield* pause(20)
    yield* TestClock.adjust(`${seconds} seconds`)
    return yield* withTimeout("the client", Fiber.join(client))
  }).pipe(Effect.scoped, Effect.provide(Transport.layerMemory()))

/** The error of a client with other keys than the server expects, over a real handshake. */
const refusedWith = (keys: Parameters<typeof keysOf>[0]) =>
  Effect.gen(function* () {
    const { address } = yield* listenAndRead()
    const transport = yield* Transport
    // Before the server accepts, as `dial` does: on a busy machine much may pass in between.
    const startedAt = (yield* Timers.current).monotonic
    const connection = yield* transport.connect(address)
    const { ready } = yield* Channel.connect(
      connection,
      keysOf(keys, () => Effect.succeed(true)),
      { startedAt }
    )
    yield* ready
  }).pipe(
    Effect.scoped,
    Effect.flip,
    (running) => withTimeout("the client", running),
    Effect.provide(Transport.layerMemory()),
    Effect.provide(layerFasterClock(10))
  )

const protocols: ReadonlyArray<readonly [answer: string, text: string]> = [
  ["HTTP/1.1 400 Bad Request\r\n\r\n", "it answers in HTTP"],
  ["SSH-2.0-OpenSSH_9.6\r\n", "it answers in SSH"],
  ["220 mail.example ESMTP\r\n", "it answers in SMTP or FTP"],
  ["\u0015\u0003\u0003\0\u0002\u0002\u0028", "it answers in TLS"],
  ["zz", "it answers in another protocol"],
  ["\0\u0031", "it answers in another protocol"]
]

describe("a client", () => {
  it.effect.each(protocols)("names the protocol of %j, without waiting", ([answer, reason]) =>
    Effect.gen(function* () {
      for (const suite of allSuites) {
        const error = yield* answeredWith(Buffer.from(answer, "latin1"), 0, suite)
        expect([suite.name, error]).toMatchObject([
          suite.name,
          { _tag: "HandshakeFailed", failure: "foreign", reason, transient: false }
        ])
      }
    })
  )

  it.effect.each([
    ["nothing", Buffer.alloc(0)],
    ["a byte", Buffer.of(0)],
    ["a part of an answer", Buffer.of(0, 48, 1, 2, 3)]
  ] as const)("takes silence after %s for no refusal", ([, answer]) =>
    Effect.gen(function* () {
      expect(yield* answeredWith(answer, 11)).toMatchObject({
        _tag: "HandshakeFailed",
        failure: "unanswered",
        transient: true
      })
    })
  )

  const iK = initiatorKeys(suiteOf("IK"))
  const xX = initiatorKeys(suiteOf("XX"))
  const shared = initiatorKeys(suiteOf("NNpsk0"))
  const cases: ReadonlyArray<readonly [string, Parameters<typeof keysOf>[0], HandshakeFailure]> = [
    ["another shared key", { ...shared, psk: Secret.random(32) }, "refused"],
    ["another server name", { ...shared, serverName: "other" }, "refused"],
    ["an unauthorized key, in message 1", { ...iK, identity: mallory }, "refused"],
    ["an unauthorized key, in message 3", { ...xX, identity: mallory }, "key refused"],
    [
      "another server name, with the server's answer",
      { ...xX, serverName: "other" },
      "undecipherable"
    ]
  ]
  it.live.each(cases)("with %s is refused", ([, keys, failure]) =>
    Effect.gen(function* () {
      expect(yield* refusedWith(keys)).toMatchObject({ failure, transient: false })
    })
  )
})

it("exit codes tell a refusal from a network that may recover", () => {
  const codeOf = (failure: HandshakeFailure) =>
    exitCodeOf(new HandshakeFailed({ peer: "", reason: "", failure }))
  const [network, refused] = [exitCode.network, exitCode.authentication]
  expect(
    (
      [
        "unanswered",
        "closed early",
        "interrupted",
        "refused",
        "key refused",
        "foreign",
        "undecipherable"
      ] as const
    ).map(codeOf)
  ).toEqual([network, network, network, refused, refused, refused, refused])
})
