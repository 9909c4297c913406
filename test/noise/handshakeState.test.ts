// The errors of a HandshakeState, each of which is final, and what it requires of its keys.
import { describe, expect, it } from "@effect/vitest"
import { Secret } from "../../src/bytes/Secret.ts"
import { generate } from "../../src/keys/KeyPair.ts"
import { dhLen } from "../../src/noise/Dh.ts"
import { HandshakeState, type HandshakeOptions } from "../../src/noise/HandshakeState.ts"
import { fromPattern } from "../../src/noise/Protocol.ts"

const none = new Uint8Array(0)
const zeros = Buffer.alloc(32)
const [alice, bob] = [generate(), generate()]

const make = (pattern: string, initiator: boolean, rest: Partial<HandshakeOptions> = {}) =>
  new HandshakeState({ protocol: fromPattern(pattern), initiator, prologue: none, ...rest })

const ok = <A extends object>(result: A | string): A => {
  if (typeof result === "string") throw new Error(result)
  return result
}

/** Both sides of a finished handshake. */
const finished = (pattern: string, rest: Partial<HandshakeOptions> = {}) => {
  const [init, resp] = [
    make(pattern, true, { s: alice, rs: bob.publicKey, ...rest }),
    make(pattern, false, { s: bob, rs: alice.publicKey, ...rest })
  ]
  for (let index = 0; !init.finished; index++) {
    const [from, to] = index % 2 === 0 ? [init, resp] : [resp, init]
    ok(to.readMessage(ok(from.writeMessage(none))))
  }
  return [init, resp] as const
}

/** Expects that a state is of no use any more. */
const expectEnded = (state: HandshakeState) => {
  expect(state.finished).toBe(false)
  expect(state.split()).toBe("out of turn")
  expect(state.readMessage(Buffer.alloc(96))).toBe("out of turn")
  expect(state.writeMessage(none)).toBe("out of turn")
}

describe("after an error every call fails", () => {
  it("of a message that does not decrypt", () => {
    const psks = [Secret.random(32)]
    const resp = make("NNpsk0", false, { psks })
    expect(resp.readMessage(Buffer.alloc(48, 1))).toBe("decrypt failed")
    expectEnded(resp)
  })

  it("of the last message that does not decrypt", () => {
    const [init, resp] = [make("NN", true), make("NN", false)]
    ok(resp.readMessage(ok(init.writeMessage(none))))
    const second = Buffer.from(ok(resp.writeMessage(none)))
    second[47] = (second[47] ?? 0) ^ 1
    expect(init.readMessage(second)).toBe("decrypt failed")
    expectEnded(init)
  })

  it("of a low-order key, written or read", () => {
    const init = make("NK", true, { rs: zeros })
    expect(init.writeMessage(none)).toBe("low-order point")
    expectEnded(init)
    const resp = make("NK", false, { s: bob })
    expect(resp.readMessage(Buffer.alloc(48))).toBe("low-order point")
    expectEnded(resp)
  })

  it("of a message that is too long or too short", () => {
    for (const [length, error] of [
      [31, "too short"],
      [65_536, "too long"]
    ] as const) {
      const resp = make("NN", false)
      expect(resp.readMessage(Buffer.alloc(length))).toBe(error)
      expectEnded(resp)
    }
    const init = make("NN", true)
    expect(init.writeMessage(Buffer.alloc(65_535 - 31))).toBe("too long")
    expectEnded(init)
    expect(ok(make("NN", true).writeMessage(Buffer.alloc(65_535 - 32))).length).toBe(65_535)
  })

  it("of a call out of turn", () => {
    const init = make("NN", true)
    expect(init.readMessage(Buffer.alloc(32))).toBe("out of turn")
    expectEnded(init)
  })
})

describe("Split", () => {
  it("happens once: the chaining key is erased", () => {
    const [init] = finished("NN")
    expect(typeof init.split()).toBe("object")
    expectEnded(init)
  })

  it("is out of turn before the last message", () => {
    expect(make("NN", true).split()).toBe("out of turn")
  })

  it("gives the initiator's first key to the responder to receive", () => {
    const [init, resp] = finished("NN")
    const [a, b] = [ok(init.split()), ok(resp.split())]
    expect(b.receive.decryptWithAd(none, ok(a.send.encryptWithAd(none, Buffer.from("x"))))).toEqual(
      Buffer.from("x")
    )
  })
})

it("learns the remote static key from the message that has it", () => {
  const [init, resp] = [make("XX", true, { s: alice }), make("XX", false, { s: bob })]
  ok(resp.readMessage(ok(init.writeMessage(none))))
  ok(init.readMessage(ok(resp.writeMessage(none))))
  expect(resp.remoteStatic).toBeUndefined()
  ok(resp.readMessage(ok(init.writeMessage(none))))
  expect(init.remoteStatic).toEqual(bob.publicKey)
  expect(resp.remoteStatic).toEqual(alice.publicKey)
  const unknown = make("XX", false, { s: bob })
  expect(unknown.remoteStatic).toBeUndefined()
})

it("uses the psks in their order", () => {
  const [one, other] = [Secret.random(32), Secret.random(32)]
  const pair = (psks: ReadonlyArray<Secret>) => {
    const init = make("NNpsk0+psk2", true, { psks: [one, other] })
    const resp = make("NNpsk0+psk2", false, { psks })
    const first = resp.readMessage(ok(init.writeMessage(none)))
    return typeof first === "string" ? first : init.readMessage(ok(resp.writeMessage(none)))
  }
  expect(pair([one, other])).toEqual(Buffer.alloc(0))
  expect(pair([other, one])).toBe("decrypt failed")
  expect(pair([one, one])).toBe("decrypt failed")
})

describe("a key that is missing or too many", () => {
  const s = alice
  it.each<readonly [string, boolean, Partial<HandshakeOptions>, string]>([
    ["XX", true, {}, "needs a local static key"],
    ["XX", false, {}, "needs a local static key"],
    ["KN", true, {}, "needs a local static key"],
    ["NK", false, {}, "needs a local static key"],
    ["NK", true, {}, "needs the remote static key, of 32 bytes"],
    ["NK", true, { rs: Buffer.alloc(31, 9) }, "needs the remote static key, of 32 bytes"],
    ["KN", false, {}, "needs the remote static key, of 32 bytes"],
    ["KK", false, { s, rs: Buffer.alloc(33, 9) }, "needs the remote static key, of 32 bytes"],
    ["NNpsk0", true, {}, "needs 1 pre-shared keys of 32 bytes"],
    ["NNpsk0", true, { psks: [Secret.random(31)] }, "needs 1 pre-shared keys of 32 bytes"],
    ["NNpsk0", true, { psks: [Secret.random(33)] }, "needs 1 pre-shared keys of 32 bytes"],
    [
      "NNpsk0",
      true,
      { psks: [Secret.random(32), Secret.random(32)] },
      "needs 1 pre-shared keys of 32 bytes"
    ],
    ["NN", true, { psks: [Secret.random(32)] }, "needs 0 pre-shared keys of 32 bytes"]
  ])("%s, initiator %s, %o", (pattern, initiator, rest, error) => {
    expect(() => make(pattern, initiator, rest)).toThrow(error)
  })

  it("is not one that the pattern does not use", () => {
    expect(() => make("NN", true)).not.toThrow()
    expect(dhLen).toBe(32)
  })
})
