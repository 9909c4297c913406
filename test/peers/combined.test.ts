// Rules together: `revoked` refuses a key whatever else its line allows, and the others each refuse
// although the rest allows.
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as OptionSpec from "../../src/peers/OptionSpec.ts"
import { parseAuthorized } from "../../src/peers/Peers.ts"
import * as Pin from "../../src/peers/Pin.ts"
import * as PublicKey from "../../src/keys/PublicKey.ts"
import * as Rules from "../../src/peers/Rules.ts"
import { ruleOptions } from "../../src/services/builtin/index.ts"

const key = PublicKey.encode(new Uint8Array(32).fill(1))
const year = 365 * 86_400_000
const now = Date.UTC(2026, 0, 1)
const attempt = { from: "10.0.0.1:5", now, service: "file" }

/** An option of each kind, with a value that allows `attempt`. */
const allowing: ReadonlyMap<string, string> = new Map([
  ["from", 'from="10.0.0.0/8"'],
  ["services", 'services="file"'],
  ["expiry-time", 'expiry-time="2027-01-01"'],
  ["revoked", "revoked"]
])
const optionOf = (spec: OptionSpec.AnyOption) =>
  allowing.get(spec.name) ?? OptionSpec.formatExample(spec)

const refusalOf = (options: ReadonlyArray<string>) =>
  Effect.map(parseAuthorized(ruleOptions())("peers", `${options.join(",")} ${key} alice`), (all) =>
    all[0] === undefined ? "no line" : Rules.refusal(all[0].rules, attempt)
  ).pipe(Effect.runSync)

const others = ruleOptions().filter(({ name }) => name !== "revoked")

describe("revoked", () => {
  it("is tried beside every option", () => expect(others.length).toBeGreaterThan(10))

  it.each(others.map((spec) => [spec.name, optionOf(spec)] as const))(
    "refuses beside %s, before and after it",
    (_, option) => {
      expect(refusalOf([option])).toBeUndefined()
      for (const options of [
        ["revoked", option],
        [option, "revoked"]
      ])
        expect(refusalOf(options)).toBe("its key is revoked (peers:1)")
    }
  )

  it("refuses beside all of them", () => {
    expect(refusalOf(others.map(optionOf))).toBeUndefined()
    expect(refusalOf([...others.map(optionOf), "revoked"])).toBe("its key is revoked (peers:1)")
  })

  it("refuses a pinned key that retires later, and one that has retired", () => {
    expect(Pin.refusal({ retires: now + year }, now)).toBeUndefined()
    expect(Pin.refusal({ retires: now + year, revoked: true }, now)).toBe("revoked")
    expect(Pin.refusal({ retires: now - year, revoked: true }, now)).toBe("revoked")
  })
})

describe("an option that does not allow the attempt", () => {
  it.each([
    ["expiry-time", 'expiry-time="2025-12-31"', "its key has expired: 2025-12-31 (peers:1)"],
    ["expiry-time, now", 'expiry-time="2026-01-01"', "its key has expired: 2026-01-01 (peers:1)"],
    ["from", 'from="10.0.0.0/8,!10.0.0.1"', "its rules allow connections only from"],
    ["services", 'services="message"', "its rules allow only the services message, not file"]
  ])("%s refuses although all others allow it", (name, option, reason) => {
    const rest = others.filter((spec) => !name.startsWith(spec.name)).map(optionOf)
    expect(refusalOf([...rest, option])).toContain(reason)
  })
})

describe("a pin", () => {
  it("retires at its time, not after it", () => {
    expect(Pin.refusal({ retires: now }, now - 1)).toBeUndefined()
    expect(Pin.refusal({ retires: now }, now)).toBe("retired 2026-01-01")
  })

  it("is formatted with all of its options", () => {
    expect(Pin.format({ retires: now, revoked: true })).toEqual([
      'retiring="2026-01-01"',
      "revoked"
    ])
    expect(Either.isRight(OptionSpec.decode(Pin.options, []))).toBe(true)
  })
})
