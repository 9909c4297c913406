// SymmetricState, section 5.2 of the Noise specification.
import { createHash } from "node:crypto"
import { expect, it } from "@effect/vitest"
import { SymmetricState } from "../../src/noise/SymmetricState.ts"

const none = new Uint8Array(0)

it.each([31, 32, 33, 64])(
  "starts from a name of %i bytes: padded, as it is, or hashed",
  (length) => {
    const name = "x".repeat(length)
    const expected =
      length <= 32
        ? Buffer.concat([Buffer.from(name)], 32)
        : createHash("sha256").update(name).digest()
    expect(Buffer.from(new SymmetricState(name).handshakeHash)).toEqual(expected)
  }
)

it("erases the chaining key at Split, and nothing before", () => {
  const seal = (state: SymmetricState) =>
    Buffer.from(state.split()[0].encryptWithAd(none, Buffer.from("x")) as Uint8Array)
  const make = (input: number) => {
    const state = new SymmetricState("a protocol")
    state.mixKey(Buffer.alloc(32, input))
    return state
  }
  const [one, other] = [make(1), make(2)]
  expect(seal(one)).toEqual(seal(make(1)))
  expect(seal(other)).not.toEqual(seal(make(1)))
  // Both now derive from a chaining key of zeros.
  expect(seal(one)).toEqual(seal(other))
})
