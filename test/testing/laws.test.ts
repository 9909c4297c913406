// The laws that are given to others can fail: each subject here has one fault, and is caught for
// it.
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import { Aes256Gcm } from "../../src/classic/Aes256Gcm.ts"
import type { KeyedCipher } from "../../src/classic/CipherKind.ts"
import { KeyExists, KeyUnavailable } from "../../src/keys/KeyErrors.ts"
import type { ClassicGcmKey } from "../../src/keys/KeyKind.ts"
import { KeyStore } from "../../src/keys/KeyStore.ts"
import type { KeyLocation } from "../../src/keys/Provider.ts"
import { chaos, type ChaosLimits } from "../../src/testing/chaos.ts"
import { cipherLaws } from "../../src/testing/cipherLaws.ts"
import { keyStoreLaws } from "../../src/testing/keyStoreLaws.ts"
import { flowLaws } from "../../src/testing/flowLaws.ts"
import { tcp } from "../../src/transports/Address.ts"
import type { Connection, Flow } from "../../src/transports/Connection.ts"
import { makeMemory, type MemoryOptions } from "../../src/transports/Memory.ts"
import { Transport } from "../../src/transports/Transport.ts"
import { failingLaws } from "./failingLaws.ts"

describe("the laws of a cipher", () => {
  const gcm =
    (nonce: () => Uint8Array) =>
    ({ key }: ClassicGcmKey): KeyedCipher => ({
      encrypt: (plaintext) => {
        const iv = nonce()
        const cipher = createCipheriv("aes-256-gcm", key, iv)
        return Buffer.concat([iv, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
      },
      decrypt: (ciphertext) => {
        if (ciphertext.length < 28) return undefined
        const cipher = createDecipheriv("aes-256-gcm", key, ciphertext.subarray(0, 12), {
          authTagLength: 16
        })
        cipher.setAuthTag(ciphertext.subarray(-16))
        try {
          return Buffer.concat([cipher.update(ciphertext.subarray(12, -16)), cipher.final()])
        } catch {
          return undefined
        }
      }
    })
  const inClear = ({ key }: ClassicGcmKey): KeyedCipher => {
    const tag = (text: Uint8Array) => createHmac("sha256", key).update(text).digest()
    return {
      encrypt: (plaintext) => Buffer.concat([plaintext, tag(plaintext)]),
      decrypt: (ciphertext) => {
        const text = Buffer.from(ciphertext.subarray(0, Math.max(0, ciphertext.length - 32)))
        return tag(text).equals(ciphertext.subarray(text.length)) ? text : undefined
      }
    }
  }
  const lawsOf = (make: (key: ClassicGcmKey) => KeyedCipher) =>
    failingLaws((runner) => cipherLaws(runner, { ...Aes256Gcm, make }))
  const hiding = "hides the plaintext, and never produces the same ciphertext twice"

  it("hold for a correct implementation", async () =>
    expect(await lawsOf(gcm(() => randomBytes(12)))).toEqual([]))
  it("detect a repeated nonce", async () =>
    expect(await lawsOf(gcm(() => Buffer.alloc(12)))).toEqual([hiding]))
  it("detect a cipher that authenticates without encrypting", async () =>
    expect(await lawsOf(inClear)).toEqual([hiding]))
})

describe("the laws of a key store", () => {
  const reference = "mine"
  interface Kept {
    content: Uint8Array | undefined
  }
  const sound = (kept: Kept): KeyLocation => ({
    reference,
    read: () =>
      Effect.suspend(() =>
        kept.content === undefined
          ? new KeyUnavailable({ reference, reason: "it is empty", hint: "put a key there" })
          : Effect.succeed(kept.content)
      ),
    write: (content) =>
      Effect.suspend(() =>
        kept.content === undefined
          ? Effect.sync(() => void (kept.content = Buffer.from(content)))
          : new KeyExists({ reference })
      )
  })
  const lawsOf = (fault: (kept: Kept) => Partial<KeyLocation>) =>
    failingLaws((runner) =>
      keyStoreLaws(runner, {
        layerWith: (content) =>
          Layer.suspend(() => {
            const kept = { content: content === undefined ? undefined : Buffer.from(content) }
            return KeyStore.layerLocation({ ...sound(kept), ...fault(kept) })
          }),
        missingTag: "KeyUnavailable",
        canCreate: true,
        numRuns: 3
      })
    )

  it("hold for a correct implementation", async () => expect(await lawsOf(() => ({}))).toEqual([]))
  it("detect a provider that overwrites a key", async () =>
    expect(
      await lawsOf((kept) => ({
        write: (content) => Effect.sync(() => void (kept.content = Buffer.from(content)))
      }))
    ).toContain("does not overwrite existing content"))
  it("detect a provider that always makes the same key", async () =>
    expect(
      await lawsOf((kept) => {
        const { write } = sound(kept)
        return {
          write: () =>
            typeof write === "string" ? Effect.void : write(Buffer.from("11".repeat(32)))
        }
      })
    ).toEqual(["creates a different key each time"]))
})

describe("the laws of a flow", () => {
  const lawsOf = (fault: (flow: Flow) => Partial<Flow>) => {
    const faulty = (connection: Connection): Connection => ({
      ...connection,
      flow: { ...connection.flow, ...fault(connection.flow) }
    })
    const { connect, listen } = makeMemory()
    const layer = Layer.succeed(Transport, {
      connect: (...where) => Effect.map(connect(...where), faulty),
      listen: (address, handler, options) =>
        listen(address, (connection) => handler({ ...connection, ...faulty(connection) }), options)
    })
    return failingLaws((runner) =>
      flowLaws(runner, {
        layer,
        freeAddress: Effect.succeed(tcp("127.0.0.1", 0)),
        unusedAddress: tcp("127.0.0.1", 1),
        unusedReason: "refused",
        supportsReset: true,
        maxUnreadBytes: 128 * 1024,
        maxReadAheadBytes: 256 * 1024
      })
    )
  }
  const bothWays = (name: string) => [`${name} (client first)`, `${name} (server first)`]

  it("hold for a correct implementation", async () => expect(await lawsOf(() => ({}))).toEqual([]))
  it("detect a flow that reports a loss as an end", async () =>
    expect(
      await lawsOf(({ start }) => ({
        start: (listener) => start({ ...listener, lost: listener.end })
      }))
    ).toEqual(bothWays("reports a reset as a loss and not as an end")))
  it("detect a flow without back-pressure", async () =>
    expect(
      await lawsOf(({ write }) => ({ write: (bytes, released) => (write(bytes, released), true) }))
    ).toEqual(bothWays("reports when the send buffer is full, and when it has room again")))
})

describe("chaos", () => {
  /** Returns the counterexample to which every failing case shrinks, from any seed. */
  const shrunk = (fails: (chaos: MemoryOptions) => boolean, limits?: ChaosLimits) => {
    const found = Array.from({ length: 20 }, (_, seed) => {
      const { counterexample } = FastCheck.check(
        FastCheck.property(chaos(limits), (given) => !fails(given)),
        { seed, numRuns: 2000 }
      )
      return counterexample?.[0]
    })
    for (const one of found) expect(one).toEqual(found[0])
    return found[0]
  }
  const never = Number.POSITIVE_INFINITY

  it("shrinks to the largest chunks that still fail", () => {
    for (const size of [1000, 64, 7, 1])
      expect(shrunk(({ chunkBytes = never }) => chunkBytes <= size)).toEqual({
        chunkBytes: size,
        cuts: [],
        delay: 0
      })
  })

  it("shrinks to the resets that matter, and keeps the earlier connections without one", () => {
    expect(shrunk(({ cuts = [] }) => cuts.some(({ read }) => read < never))).toEqual({
      chunkBytes: never,
      cuts: [{ written: never, read: 0 }],
      delay: 0
    })
    expect(
      shrunk(
        ({ cuts = [] }) => (cuts[1]?.written ?? never) > 100 && (cuts[1]?.written ?? never) < never
      )
    ).toEqual({
      chunkBytes: never,
      cuts: [
        { written: never, read: never },
        { written: 101, read: never }
      ],
      delay: 0
    })
  })
})
