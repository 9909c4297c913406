import { createPublicKey } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { Secret } from "../../src/bytes/Secret.ts"
import { fromPrivate, generate } from "../../src/keys/KeyPair.ts"
import { maxMessageBytes } from "../../src/noise/CipherState.ts"
import { dh } from "../../src/noise/Dh.ts"
import { HandshakeState } from "../../src/noise/HandshakeState.ts"
import { patterns } from "../../src/noise/Pattern.ts"
import { algorithms, fromPattern, parseProtocol, type Protocol } from "../../src/noise/Protocol.ts"
import * as vectors from "./vectors.ts"

const none = new Uint8Array(0)

/** Both sides of a protocol with new keys. */
const sides = (chosen: Protocol, prologue: Uint8Array = none) => {
  const [a, b] = [generate(), generate()]
  const psks = Array.from({ length: chosen.psks }, () => Secret.random(32))
  const init = new HandshakeState({
    protocol: chosen,
    initiator: true,
    prologue,
    s: a,
    rs: b.publicKey,
    psks
  })
  const resp = new HandshakeState({
    protocol: chosen,
    initiator: false,
    prologue,
    s: b,
    rs: a.publicKey,
    psks
  })
  return [init, resp] as const
}

const ok = <A extends object>(result: A | string): A => {
  if (typeof result === "string") throw new Error(result)
  return result
}

/** Runs a handshake to completion. */
const shake = (chosen: Protocol, payload: Uint8Array = none) => {
  const [init, resp] = sides(chosen)
  for (let index = 0; !init.finished; index++) {
    const [from, to] = index % 2 === 0 ? [init, resp] : [resp, init]
    expect(ok(to.readMessage(ok(from.writeMessage(payload))))).toEqual(Buffer.from(payload))
  }
  expect(Buffer.from(init.handshakeHash)).toEqual(Buffer.from(resp.handshakeHash))
  return [ok(init.split()), ok(resp.split())] as const
}

/** Returns whether both sides end with one hash when `wire` changes the messages. */
const agree = (
  chosen: Protocol,
  wire: (message: Uint8Array, index: number) => Uint8Array
): boolean => {
  const [init, resp] = sides(chosen)
  for (let index = 0; !init.finished; index++) {
    const [from, to] = index % 2 === 0 ? [init, resp] : [resp, init]
    const message = from.writeMessage(none)
    if (typeof message === "string" || typeof to.readMessage(wire(message, index)) === "string")
      return false
  }
  return Buffer.from(init.handshakeHash).equals(Buffer.from(resp.handshakeHash))
}

const names = [...patterns.keys()]

describe("vectors of flynn/noise", () => {
  const all = vectors.parse(
    readFileSync(path.join(import.meta.dirname, "../vectors/noise-flynn.json"), "utf8")
  )
  it("are 240, all with the supported algorithms", () => {
    expect(all.length).toBe(240)
    expect(all.every(vectors.isOurs)).toBe(true)
  })
  it("pass", () => {
    for (const vector of all)
      expect(`${vector.name}: ${vectors.run(vector)}`).toBe(`${vector.name}: undefined`)
  })
  it("fail when a byte is changed", () => {
    for (const vector of all.slice(0, 20)) {
      const [first, ...rest] = vector.messages
      if (first === undefined) throw new Error("a vector without messages")
      const changed = {
        ...vector,
        messages: [
          {
            ...first,
            ciphertext: first.ciphertext.replace(/^./, (digit) => (digit === "0" ? "1" : "0"))
          },
          ...rest
        ]
      }
      expect(vectors.run(changed)).toBe("message 0 differs")
    }
  })
})

it("pass in the format of cacophony and snow", () => {
  const { vectors: flynn } = JSON.parse(
    readFileSync(path.join(import.meta.dirname, "../vectors/noise-flynn.json"), "utf8")
  ) as {
    vectors: ReadonlyArray<Record<string, string>>
  }
  const rewritten = flynn.map((fields) => {
    const found = parseProtocol(fields.handshake ?? "")
    const [init, resp] = [fields.init_static, fields.resp_static].map((secret) =>
      secret === undefined
        ? undefined
        : Buffer.from(fromPrivate(new Secret(Buffer.from(secret, "hex"))).publicKey).toString("hex")
    )
    return {
      protocol_name: fields.handshake,
      init_prologue: fields.prologue ?? "",
      init_static: fields.init_static,
      init_ephemeral: fields.gen_init_ephemeral,
      init_remote_static: resp,
      init_psks: fields.preshared_key === undefined ? [] : [fields.preshared_key],
      resp_prologue: fields.prologue ?? "",
      resp_static: fields.resp_static,
      resp_ephemeral: fields.gen_resp_ephemeral,
      resp_remote_static: init,
      resp_psks: fields.preshared_key === undefined ? [] : [fields.preshared_key],
      messages: (found?.pattern.messages ?? []).map((_, index) => ({
        payload: fields[`msg_${index}_payload`],
        ciphertext: fields[`msg_${index}_ciphertext`]
      }))
    }
  })
  const all = vectors.parse(JSON.stringify({ vectors: rewritten }))
  expect(all.length).toBe(240)
  for (const vector of all)
    expect(`${vector.name}: ${vectors.run(vector)}`).toBe(`${vector.name}: undefined`)
  const wrongHash = vectors.parse(
    JSON.stringify({ vectors: [{ ...rewritten[0], handshake_hash: "00".repeat(32) }] })
  )
  expect(wrongHash.map(vectors.run)).toEqual(["the handshake hash differs"])
})

describe("protocol names", () => {
  it("are those of section 8, with every pattern and modifier", () => {
    expect(names.length).toBe(3 + 12 + 23)
    for (const name of names) expect(parseProtocol(`Noise_${name}_${algorithms}`)?.psks).toBe(0)
    expect(parseProtocol(`Noise_XXpsk0+psk3_${algorithms}`)?.pattern.messages).toEqual([
      ["psk", "e"],
      ["e", "ee", "s", "es"],
      ["s", "se", "psk"]
    ])
    for (const wrong of [
      "Noise_XXpsk4",
      "Noise_XXpsk0+psk0",
      "Noise_XXfallback",
      "Noise_QQ",
      "XX",
      "Noise_xx",
      "Noise_XX1X"
    ])
      expect(parseProtocol(`${wrong}_${algorithms}`)).toBeUndefined()
    expect(parseProtocol("Noise_XX_25519_ChaChaPoly_BLAKE2s")).toBeUndefined()
  })
})

describe.each(names)("%s", (name) => {
  const count = patterns.get(name)?.messages.length ?? 0
  const chosen = [
    fromPattern(name),
    fromPattern(`${name}psk0`),
    fromPattern(`${name}psk0+psk${count}`)
  ]

  it("gives both sides the same hash and keys, with and without psks", () => {
    for (const each of chosen) {
      const [init, resp] = shake(each, Buffer.from("payload"))
      for (const [from, to] of each.pattern.oneWay
        ? ([[init, resp]] as const)
        : ([
            [init, resp],
            [resp, init]
          ] as const))
        for (const length of [0, 1, 16, 1000, maxMessageBytes - 16]) {
          const sealed = ok(from.send.encryptWithAd(none, Buffer.alloc(length, 5)))
          // Not toEqual, which is slow for 65,519 bytes.
          expect(Buffer.alloc(length, 5).equals(ok(to.receive.decryptWithAd(none, sealed)))).toBe(
            true
          )
        }
    }
  })

  it("fails after any flipped bit, or gives the sides different hashes", () => {
    for (const each of chosen)
      for (let message = 0; message < count; message++)
        for (const from of [0, 31, 32, 47, -1]) {
          let flipped = false
          const wire = (bytes: Uint8Array, index: number) => {
            const copy = Buffer.from(bytes)
            const at = from < 0 ? copy.length + from : from
            if (index === message && at < copy.length) {
              copy[at] = (copy[at] ?? 0) ^ 1
              flipped = true
            }
            return copy
          }
          const agreed = agree(each, wire)
          expect(agreed).toBe(!flipped)
        }
  })
})

describe("prologue and psk", () => {
  it.prop(
    "a different prologue fails at the first encrypted message",
    { a: FastCheck.uint8Array(), b: FastCheck.uint8Array() },
    ({ a, b }) => {
      const psks = [Secret.random(32)]
      const init = new HandshakeState({
        protocol: fromPattern("NNpsk0"),
        initiator: true,
        prologue: a,
        psks
      })
      const resp = new HandshakeState({
        protocol: fromPattern("NNpsk0"),
        initiator: false,
        prologue: b,
        psks
      })
      const read = resp.readMessage(ok(init.writeMessage(none)))
      expect(typeof read === "string").toBe(Buffer.compare(a, b) !== 0)
    }
  )
  it("a different psk fails at the first encrypted message", () => {
    const create = (initiator: boolean) =>
      new HandshakeState({
        protocol: fromPattern("NNpsk0"),
        initiator,
        prologue: none,
        psks: [Secret.random(32)]
      })
    const [init, resp] = [create(true), create(false)]
    expect(resp.readMessage(ok(init.writeMessage(none)))).toBe("decrypt failed")
  })
})

describe("final errors", () => {
  const nn = fromPattern("NN")
  const started = () => sides(nn)

  it("out of turn", () => {
    const [init, resp] = started()
    expect(resp.writeMessage(none)).toBe("out of turn")
    expect(init.split()).toBe("out of turn")
    const message = ok(init.writeMessage(none))
    expect(init.writeMessage(none)).toBe("out of turn")
    expect(resp.readMessage(message)).toBe("out of turn")
  })
  it("too short, too long", () => {
    expect(started()[1].readMessage(Buffer.alloc(31))).toBe("too short")
    expect(started()[1].readMessage(Buffer.alloc(maxMessageBytes + 1))).toBe("too long")
    expect(started()[0].writeMessage(Buffer.alloc(maxMessageBytes - 31))).toBe("too long")
    const [init] = shake(nn)
    expect(init.send.encryptWithAd(none, Buffer.alloc(maxMessageBytes - 15))).toBe("too long")
    expect(init.receive.decryptWithAd(none, Buffer.alloc(maxMessageBytes + 1))).toBe("too long")
    expect(init.receive.decryptWithAd(none, Buffer.alloc(100))).toBe("out of turn")
    expect(shake(nn)[0].receive.decryptWithAd(none, Buffer.alloc(15))).toBe("too short")
  })
  it("decrypt failed: n does not advance, and nothing decrypts afterwards", () => {
    const [init, resp] = shake(nn)
    const first = ok(init.send.encryptWithAd(none, Buffer.from("one")))
    const second = ok(init.send.encryptWithAd(none, Buffer.from("two")))
    expect(resp.receive.decryptWithAd(none, second)).toBe("decrypt failed")
    expect(resp.receive.n).toBe(0n)
    expect(resp.receive.decryptWithAd(none, first)).toBe("out of turn")
  })
  it("nonce exhausted: 2^64-1 is never used, 2^64-2 is", () => {
    const [init, resp] = shake(nn)
    for (const state of [init.send, resp.receive]) state.setNonce(2n ** 64n - 2n)
    expect(ok(resp.receive.decryptWithAd(none, ok(init.send.encryptWithAd(none, none))))).toEqual(
      Buffer.alloc(0)
    )
    expect(init.send.encryptWithAd(none, none)).toBe("nonce exhausted")
    expect(resp.receive.decryptWithAd(none, Buffer.alloc(16))).toBe("nonce exhausted")
  })
  it("low-order points: those of RFC 7748 and equivalents", () => {
    const lowOrder = [
      "0000000000000000000000000000000000000000000000000000000000000000",
      "0100000000000000000000000000000000000000000000000000000000000000",
      "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
      "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
    ]
    for (const point of lowOrder) {
      expect(dh(generate(), Buffer.from(point, "hex"))).toBe("low-order point")
      const [init] = started()
      init.writeMessage(none)
      expect(init.readMessage(Buffer.concat([Buffer.from(point, "hex"), Buffer.alloc(16)]))).toBe(
        "low-order point"
      )
    }
  })
  it("a missing key throws a TypeError that names it", () => {
    const make = (pattern: string, initiator: boolean) => () =>
      new HandshakeState({ protocol: fromPattern(pattern), initiator, prologue: none })
    expect(make("XX", true)).toThrow("needs a local static key")
    expect(make("NK", true)).toThrow("needs the remote static key")
    expect(make("NNpsk0", false)).toThrow("needs 1 pre-shared keys")
  })
})

const reference = path.resolve(
  import.meta.dirname,
  "../../../shared/vectors/reference/x25519_test.json"
)
describe.skipIf(!existsSync(reference))("Wycheproof X25519", () => {
  interface Vector {
    readonly public: string
    readonly private: string
    readonly shared: string
    readonly result: string
  }
  it("518 cases: the shared secret, or a low-order point for a zero result", () => {
    const { testGroups } = JSON.parse(readFileSync(reference, "utf8")) as {
      testGroups: ReadonlyArray<{ tests: ReadonlyArray<Vector> }>
    }
    const tests = testGroups.flatMap(({ tests }) => tests)
    expect(tests.length).toBe(518)
    for (const { public: publicKey, private: privateKey, shared } of tests) {
      const result = dh(
        fromPrivate(new Secret(Buffer.from(privateKey, "hex"))),
        Buffer.from(publicKey, "hex")
      )
      expect(
        /^0+$/.test(shared)
          ? result
          : typeof result === "string"
            ? result
            : Buffer.from(result).toString("hex")
      ).toBe(/^0+$/.test(shared) ? "low-order point" : shared)
    }
  })
})

it("derives the same public key as node:crypto", () => {
  const { privateKey, publicKey } = generate()
  expect(createPublicKey(privateKey).export({ format: "jwk" }).x).toBe(
    Buffer.from(publicKey).toString("base64url")
  )
})
