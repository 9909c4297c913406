// X25519 beside the ladder of RFC 7748, written here in the integers of JavaScript: the second
// implementation that is always there. It covers what the Wycheproof file covers where that file is
// not beside the clone.
import { randomBytes } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { Secret } from "../../src/bytes/Secret.ts"
import { fromPrivate } from "../../src/keys/KeyPair.ts"
import { dh } from "../../src/noise/Dh.ts"

const p = 2n ** 255n - 19n
const mod = (value: bigint) => ((value % p) + p) % p

const power = (base: bigint, exponent: bigint): bigint => {
  let result = 1n
  let square = mod(base)
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = mod(result * square)
    square = mod(square * square)
  }
  return result
}

const fromBytes = (bytes: Uint8Array): bigint =>
  BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`)
const toBytes = (value: bigint): Buffer =>
  Buffer.from(value.toString(16).padStart(64, "0"), "hex").reverse()

/** RFC 7748, section 5. */
const ladder = (scalar: Uint8Array, point: Uint8Array): Buffer => {
  const k = (fromBytes(scalar) & (2n ** 255n - 8n)) | (2n ** 254n)
  // The most significant bit is ignored; a value of p and more is reduced.
  const x1 = mod(fromBytes(point) & (2n ** 255n - 1n))
  let [x2, z2, x3, z3] = [1n, 0n, x1, 1n]
  for (let t = 254n; t >= 0n; t--) {
    const bit = (k >> t) & 1n
    if (bit === 1n) [x2, z2, x3, z3] = [x3, z3, x2, z2]
    const [a, b] = [x2 + z2, x2 - z2]
    const [aa, bb] = [mod(a * a), mod(b * b)]
    const e = aa - bb
    const [da, cb] = [mod((x3 - z3) * a), mod((x3 + z3) * b)]
    x3 = mod((da + cb) ** 2n)
    z3 = mod(x1 * mod((da - cb) ** 2n))
    x2 = mod(aa * bb)
    z2 = mod(e * (aa + 121665n * e))
    if (bit === 1n) [x2, z2, x3, z3] = [x3, z3, x2, z2]
  }
  return toBytes(mod(x2 * power(z2, p - 2n)))
}

const ours = (scalar: Uint8Array, point: Uint8Array) => {
  const shared = dh(fromPrivate(new Secret(Buffer.from(scalar))), point)
  return typeof shared === "string" ? shared : Buffer.from(shared).toString("hex")
}
const expected = (scalar: Uint8Array, point: Uint8Array) => {
  const shared = ladder(scalar, point)
  return shared.every((byte) => byte === 0) ? "low-order point" : shared.toString("hex")
}
const hex = (text: string) => Buffer.from(text, "hex")

describe("RFC 7748, section 5.2", () => {
  it.each([
    [
      "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
      "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
      "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
    ],
    [
      "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
      "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
      "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"
    ],
    [
      "0900000000000000000000000000000000000000000000000000000000000000",
      "0900000000000000000000000000000000000000000000000000000000000000",
      "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"
    ]
  ])("%s", (scalar, point, shared) => {
    expect(ours(hex(scalar), hex(point))).toBe(shared)
    expect(ladder(hex(scalar), hex(point)).toString("hex")).toBe(shared)
  })
})

// The u of the points of order 8 (the others are 0, 1 and -1), on the curve and on its twist.
const orderEight = [
  325606250916557431795983626356110631294008115727848805560023387167927233504n,
  39382357235489614581723060781553021112529911719440698176882885853963445705823n
]
const lowOrder = [0n, 1n, p - 1n, p, p + 1n, ...orderEight]

it.each(lowOrder.map((u) => [u.toString(16), u] as const))(
  "a point of low order, %s, is refused with every key",
  (_, u) => {
    for (const high of [0n, 2n ** 255n]) {
      const point = toBytes(u + high)
      for (let times = 0; times < 3; times++)
        expect(ours(randomBytes(32), point)).toBe("low-order point")
      expect(expected(randomBytes(32), point)).toBe("low-order point")
    }
  }
)

const scalars = FastCheck.oneof(
  FastCheck.uint8Array({ minLength: 32, maxLength: 32 }),
  FastCheck.constantFrom(Buffer.alloc(32), Buffer.alloc(32, 0xff), toBytes(p), toBytes(2n ** 254n))
)
/** Any 32 bytes: points of the curve and of its twist, some not reduced, some near the ends. */
const points = FastCheck.oneof(
  FastCheck.uint8Array({ minLength: 32, maxLength: 32 }),
  FastCheck.tuple(
    FastCheck.constantFrom(0n, p, 2n ** 255n, p + 2n ** 255n, 2n ** 128n, ...orderEight),
    FastCheck.integer({ min: -40, max: 40 })
  ).map(([from, more]) => toBytes((from + BigInt(more) + 2n ** 256n) % 2n ** 256n))
)

it.prop(
  "agrees on every scalar and point",
  { scalar: scalars, point: points },
  ({ scalar, point }) => {
    expect(ours(scalar, point)).toBe(expected(scalar, point))
  },
  { fastCheck: { numRuns: 80 } }
)
