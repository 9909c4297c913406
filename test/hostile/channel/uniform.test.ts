// A rejection reveals nothing: it sends no byte and always takes the same time.
import { randomBytes } from "node:crypto"
import { describe, expect } from "vitest"
import { Secret } from "../../../src/bytes/Secret.ts"
import * as Hello from "../../../src/channel/Hello.ts"
import { encodeFrame } from "../../../src/channel/Frame.ts"
import { limits } from "../../../src/channel/limits.ts"
import { allSuites, type Suite } from "../../../src/channel/Suite.ts"
import { generate } from "../../../src/keys/KeyPair.ts"
import { HandshakeState } from "../../../src/noise/HandshakeState.ts"
import { application } from "../../../src/services/Service.ts"
import { it, within } from "../../cli/Sealwire.ts"
import { startTarget, sharedKey, connectAttacker } from "./TargetServer.ts"

const firstOf = (suite: Suite, psk: Secret, change: (hello: Buffer) => void = () => {}): Buffer => {
  const hello = Buffer.from(Hello.encode(suite))
  change(hello)
  const state = new HandshakeState({
    protocol: suite.protocol,
    initiator: true,
    prologue: Hello.prologue(hello, "", application),
    psks: suite.hasSharedKey ? [psk] : [],
    ...(suite.hasIdentities ? { s: generate() } : {}),
    ...(suite.hasServerKey ? { rs: generate().publicKey } : {})
  })
  const message = state.writeMessage(new Uint8Array(0))
  if (typeof message === "string") throw new Error(message)
  return Buffer.concat([hello, encodeFrame(message)])
}

describe("the command", () => {
  it("rejects every invalid client in the same way", async ({ box }) => {
    const { server, port, events, sendHonestly } = await startTarget(box)
    const [nnpsk0] = allSuites
    const attacks: ReadonlyArray<readonly [name: string, bytes: Buffer]> = [
      ["another key", firstOf(nnpsk0, Secret.random(32))],
      ["another version", firstOf(nnpsk0, sharedKey, (hello) => hello.writeUInt8(2, 4))],
      ["a flag", firstOf(nnpsk0, sharedKey, (hello) => hello.writeUInt8(1, 6))],
      ["an unknown suite", firstOf(nnpsk0, sharedKey, (hello) => hello.writeUInt8(9, 5))],
      ...allSuites
        .slice(1)
        .map((suite) => [`suite ${suite.name}`, firstOf(suite, sharedKey)] as const),
      ["garbage", randomBytes(200)],
      ["a great deal of garbage", randomBytes(300_000)],
      [
        "HTTP",
        Buffer.from(
          "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8\r\nAccept: */*\r\n\r\n"
        )
      ],
      ["TLS", Buffer.concat([Buffer.from("16030101000100", "hex"), randomBytes(200)])]
    ]
    await sendHonestly("before")
    for (const round of [1, 2]) {
      const outcomes = await Promise.all(
        attacks.map(async ([name, bytes], index) => {
          const { socket, outcome } = await connectAttacker(box, port, `127.0.0.${index + 2}`)
          socket.write(bytes)
          return { name, ...(await within(outcome, `the end of ${name}`, 15_000)) }
        })
      )
      for (const { name, bytes, millis, code } of outcomes) {
        expect(`${round} ${name}: ${bytes} bytes, ${code}`).toBe(
          `${round} ${name}: 0 bytes, ECONNRESET`
        )
        // Never at once; test/channel/handshake tests the exact time with a test clock.
        expect(millis, name).toBeGreaterThan(limits.refusalQuantumMillis / 2)
      }
    }
    await server.until(
      "the refusals",
      () => events("connection-refused").length === 2 * attacks.length
    )
    // The log has the reasons.
    expect(new Set(events("connection-refused").map(({ reason }) => reason))).toEqual(
      new Set([
        "decrypt failed",
        "not the Sealwire protocol",
        ...allSuites.slice(1).map(({ name }) => `suite ${name} is not accepted here`)
      ])
    )
    expect(events("session-started").length).toBe(1)
    await sendHonestly("after")
  })
})
