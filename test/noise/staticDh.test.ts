// DH between long-term keys: the kept result is that of the computation, for the right pair.
import { expect, it } from "vitest"
import * as FC from "effect/FastCheck"
import { Secret } from "../../src/bytes/Secret.ts"
import { fromPrivate, importPublic } from "../../src/keys/KeyPair.ts"
import { dh, keptResults, staticDh } from "../../src/noise/Dh.ts"

const keyOf = (seed: number) => fromPrivate(new Secret(Buffer.alloc(32, seed + 1)))

it("is the result of DH, whichever pairs were asked for before", () => {
  const keys = Array.from({ length: 6 }, (_, seed) => keyOf(seed))
  const index = FC.nat(keys.length - 1)
  FC.assert(
    FC.property(FC.array(FC.tuple(index, index), { minLength: 1, maxLength: 30 }), (pairs) => {
      for (const [one, other] of pairs) {
        const [own, peer] = [keys[one] as (typeof keys)[0], keys[other] as (typeof keys)[0]]
        const result = staticDh(own, peer.publicKey, importPublic(peer.publicKey))
        expect(result).toEqual(dh(own, peer.publicKey))
        expect(result).toEqual(staticDh(peer, own.publicKey, importPublic(own.publicKey)))
      }
    })
  )
})

it("keeps no error: a point of low order fails each time", () => {
  const zero = Buffer.alloc(32)
  for (let again = 0; again < 2; again++)
    expect(staticDh(keyOf(0), zero, importPublic(zero))).toBe("low-order point")
})

it("keeps a bounded number of results, the latest", () => {
  const own = keyOf(0)
  // The imported key is that of one peer: a wrong result shows which name was computed anew.
  const [first, other] = [importPublic(keyOf(1).publicKey), importPublic(keyOf(2).publicKey)]
  const nameOf = (count: number) => {
    const name = Buffer.alloc(32)
    name.writeUInt32LE(count + 1)
    return name
  }
  for (let count = 0; count <= keptResults; count++) staticDh(own, nameOf(count), first)
  const [ofFirst, ofOther] = [dh(own, first), dh(own, other)]
  expect(staticDh(own, nameOf(keptResults), other)).toEqual(ofFirst)
  expect(staticDh(own, nameOf(1), other)).toEqual(ofFirst)
  expect(staticDh(own, nameOf(0), other)).toEqual(ofOther)
})
