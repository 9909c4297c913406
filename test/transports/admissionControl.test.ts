// AdmissionControl, compared with a model that keeps one list.
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import {
  AdmissionControl,
  sourceOf,
  type AdmissionLimits,
  type AdmittedConnection
} from "../../src/transports/AdmissionControl.ts"

interface Visitor extends AdmittedConnection {
  readonly name: number
}

/** The same rules, in their simplest form. */
class Model {
  readonly #limits: AdmissionLimits
  guests: Array<{ readonly visitor: Visitor; established: boolean }> = []
  constructor(limits: AdmissionLimits) {
    this.#limits = limits
  }
  admit(newcomer: Visitor): Visitor | undefined {
    const halfOpen = this.guests
      .filter(({ established }) => !established)
      .map(({ visitor }) => visitor)
    const kin = halfOpen.filter(({ source }) => source === newcomer.source)
    const first = (candidates: ReadonlyArray<Visitor>) =>
      candidates.find(({ responsive }) => !responsive) ?? candidates[0]
    const { connections, halfOpen: most, halfOpenPerSource } = this.#limits
    const full = halfOpen.length >= most || this.guests.length >= connections
    const evicted =
      kin.length >= halfOpenPerSource
        ? first(kin)
        : full
          ? (first(halfOpen) ?? newcomer)
          : undefined
    if (evicted === newcomer) return newcomer
    this.guests = this.guests.filter(({ visitor }) => visitor !== evicted)
    this.guests.push({ visitor: newcomer, established: false })
    return evicted
  }
  establish(visitor: Visitor): void {
    this.guests = this.guests.map((guest) =>
      guest.visitor === visitor ? { visitor, established: true } : guest
    )
  }
  leave(visitor: Visitor): void {
    this.guests = this.guests.filter((guest) => guest.visitor !== visitor)
  }
}

type Act =
  | { readonly come: number }
  | { readonly introduce: number }
  | { readonly establish: number }
  | { readonly leave: number }

const acts: FastCheck.Arbitrary<ReadonlyArray<Act>> = FastCheck.array(
  FastCheck.oneof(
    { weight: 4, arbitrary: FastCheck.record({ come: FastCheck.nat(4) }) },
    { weight: 1, arbitrary: FastCheck.record({ introduce: FastCheck.nat(40) }) },
    { weight: 1, arbitrary: FastCheck.record({ establish: FastCheck.nat(40) }) },
    { weight: 1, arbitrary: FastCheck.record({ leave: FastCheck.nat(40) }) }
  ),
  { maxLength: 80 }
)

const limits: FastCheck.Arbitrary<AdmissionLimits> = FastCheck.record({
  connections: FastCheck.integer({ min: 1, max: 12 }),
  halfOpen: FastCheck.integer({ min: 1, max: 8 }),
  halfOpenPerSource: FastCheck.integer({ min: 1, max: 4 })
})

const namesOf = (visitors: ReadonlyArray<Visitor>) =>
  visitors.map(({ name }) => name).toSorted((a, b) => a - b)

describe("AdmissionControl", () => {
  it.prop(
    "behaves like its model, and keeps its limits",
    { acts, limits },
    ({ acts, limits }) => {
      const gate = new AdmissionControl<Visitor>(limits)
      const model = new Model(limits)
      const all: Array<Visitor> = []
      const established = new Set<Visitor>()
      for (const act of acts) {
        if ("come" in act) {
          const visitor: Visitor = {
            name: all.length,
            source: `source ${act.come}`,
            responsive: false
          }
          all.push(visitor)
          const evicted = gate.admit(visitor)
          expect(evicted?.name).toBe(model.admit(visitor)?.name)
          // An authenticated connection is never evicted.
          expect(evicted !== undefined && established.has(evicted)).toBe(false)
        } else {
          const visitor = all[Object.values(act)[0] as number]
          if (visitor === undefined) continue
          const inside = gate.admitted.includes(visitor)
          if ("introduce" in act) visitor.responsive = true
          else if ("establish" in act) {
            gate.markAuthenticated(visitor)
            model.establish(visitor)
            if (inside) established.add(visitor)
          } else {
            gate.remove(visitor)
            model.leave(visitor)
            established.delete(visitor)
          }
        }
        expect(namesOf(gate.admitted)).toEqual(namesOf(model.guests.map(({ visitor }) => visitor)))
        expect(gate.size).toBe(gate.admitted.length)
        expect(gate.size).toBeLessThanOrEqual(limits.connections)
        const halfOpen = gate.admitted.filter((guest) => !established.has(guest))
        expect(halfOpen.length).toBeLessThanOrEqual(limits.halfOpen)
        for (const { source } of halfOpen)
          expect(halfOpen.filter((guest) => guest.source === source).length).toBeLessThanOrEqual(
            limits.halfOpenPerSource
          )
      }
    },
    { fastCheck: { numRuns: 300 } }
  )

  const visitor = (name: number, source = "a"): Visitor => ({ name, source, responsive: false })

  it("evicts the oldest unresponsive connection, otherwise the oldest", () => {
    const gate = new AdmissionControl<Visitor>({
      connections: 10,
      halfOpen: 3,
      halfOpenPerSource: 3
    })
    const guests = [0, 1, 2].map((name) => visitor(name, `${name}`))
    for (const guest of guests) expect(gate.admit(guest)).toBeUndefined()
    ;(guests[0] as Visitor).responsive = true
    expect(gate.admit(visitor(3, "3"))).toBe(guests[1])
    ;(guests[2] as Visitor).responsive = true
    expect(gate.admit({ ...visitor(4, "4"), responsive: true })?.name).toBe(3)
    expect(gate.admit(visitor(5, "5"))).toBe(guests[0])
  })

  it("rejects the new connection only when all others are authenticated", () => {
    const gate = new AdmissionControl<Visitor>({
      connections: 2,
      halfOpen: 2,
      halfOpenPerSource: 2
    })
    const guests = [visitor(0), visitor(1)]
    for (const guest of guests) {
      gate.admit(guest)
      gate.markAuthenticated(guest)
    }
    const newcomer = visitor(2)
    expect(gate.admit(newcomer)).toBe(newcomer)
    expect(gate.admitted).toEqual(guests)
  })

  it("evicts only connections of a source that exceeds its limit", () => {
    const gate = new AdmissionControl<Visitor>({
      connections: 100,
      halfOpen: 50,
      halfOpenPerSource: 4
    })
    const other = visitor(-1, "other")
    gate.admit(other)
    for (let name = 0; name < 1000; name++)
      expect(gate.admit(visitor(name))?.source ?? "a").toBe("a")
    expect(gate.admitted).toContain(other)
    expect(gate.size).toBe(5)
  })

  it("ignores markAuthenticated after remove, and counts nothing twice", () => {
    const gate = new AdmissionControl<Visitor>({
      connections: 2,
      halfOpen: 2,
      halfOpenPerSource: 2
    })
    const guest = visitor(0)
    gate.admit(guest)
    gate.remove(guest)
    gate.remove(guest)
    gate.markAuthenticated(guest)
    expect(gate.size).toBe(0)
  })
})

describe("sourceOf", () => {
  it.each([
    ["127.0.0.1:51234", "127.0.0.1"],
    ["10.0.0.255:1", "10.0.0.255"],
    ["unix:/run/app.sock", "unix:/run/app.sock"]
  ])("of %s: %s", (peer, source) => expect(sourceOf(peer)).toBe(source))

  it("groups an IPv6 /64 in any notation", () => {
    const same = [
      "[2001:db8:1:2:3:4:5:6]:80",
      "[2001:db8:1:2::]:1",
      "[2001:db8:1:2::1]:80",
      "[2001:0db8:0001:0002:ffff::]:9"
    ]
    expect(new Set(same.map(sourceOf)).size).toBe(1)
    const others = [
      "[2001:db8:1:3::1]:80",
      "[2001:db8::1]:80",
      "[2001:db8:1::2:3:4:5]:80",
      "[::1]:80",
      "[fe80::1%eth0]:80"
    ]
    expect(new Set([...same, ...others].map(sourceOf)).size).toBe(1 + others.length)
    expect(sourceOf("[::1]:80")).toBe(sourceOf("[::]:80"))
    expect(sourceOf("[fe80::1%eth0]:80")).toBe(sourceOf("[fe80::2%eth1]:80"))
  })

  it.prop(
    "takes exactly the first four groups of IPv6",
    {
      groups: FastCheck.array(FastCheck.nat(0xffff), { minLength: 8, maxLength: 8 }),
      port: FastCheck.nat(65_535)
    },
    ({ groups, port }) => {
      const hex = groups.map((group) => group.toString(16))
      const full = `[${hex.join(":")}]:${port}`
      expect(sourceOf(full)).toBe(hex.slice(0, 4).join(":"))
      // Abbreviated zeros do not change the source.
      for (let at = 0; at < 7; at++) {
        const zeroed = hex.map((group, index) => (index === at || index === at + 1 ? "0" : group))
        const short = `[${zeroed.slice(0, at).join(":")}::${zeroed.slice(at + 2).join(":")}]:${port}`
        expect(sourceOf(short)).toBe(zeroed.slice(0, 4).join(":"))
      }
    }
  )
})
