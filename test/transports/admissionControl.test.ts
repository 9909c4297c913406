// AdmissionControl, compared with a model that keeps one list.
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import {
  AdmissionControl,
  limitedSourceOf,
  sourceOf,
  type AdmissionLimits,
  type AdmittedConnection
} from "../../src/transports/AdmissionControl.ts"

interface TestConnection extends AdmittedConnection {
  readonly name: number
}

/** The same rules, in their simplest form. */
class Model {
  readonly #limits: AdmissionLimits
  entries: Array<{ readonly connection: TestConnection; authenticated: boolean }> = []
  constructor(limits: AdmissionLimits) {
    this.#limits = limits
  }
  admit(added: TestConnection): TestConnection | undefined {
    const halfOpen = this.entries
      .filter(({ authenticated }) => !authenticated)
      .map(({ connection }) => connection)
    const sameSource = halfOpen.filter(({ source }) => source === added.source)
    const first = (candidates: ReadonlyArray<TestConnection>) =>
      candidates.find(({ responsive }) => !responsive) ?? candidates[0]
    const { connections, halfOpen: most, halfOpenPerSource } = this.#limits
    const full = halfOpen.length >= most || this.entries.length >= connections
    const evicted =
      added.source !== undefined && sameSource.length >= halfOpenPerSource
        ? first(sameSource)
        : full
          ? (first(halfOpen) ?? added)
          : undefined
    if (evicted === added) return added
    this.entries = this.entries.filter(({ connection }) => connection !== evicted)
    this.entries.push({ connection: added, authenticated: false })
    return evicted
  }
  markAuthenticated(connection: TestConnection): void {
    this.entries = this.entries.map((each) =>
      each.connection === connection ? { connection, authenticated: true } : each
    )
  }
  remove(connection: TestConnection): void {
    this.entries = this.entries.filter((each) => each.connection !== connection)
  }
}

type Action =
  | { readonly admit: number }
  | { readonly markResponsive: number }
  | { readonly markAuthenticated: number }
  | { readonly remove: number }

const actions: FastCheck.Arbitrary<ReadonlyArray<Action>> = FastCheck.array(
  FastCheck.oneof(
    { weight: 4, arbitrary: FastCheck.record({ admit: FastCheck.nat(4) }) },
    { weight: 1, arbitrary: FastCheck.record({ markResponsive: FastCheck.nat(40) }) },
    { weight: 1, arbitrary: FastCheck.record({ markAuthenticated: FastCheck.nat(40) }) },
    { weight: 1, arbitrary: FastCheck.record({ remove: FastCheck.nat(40) }) }
  ),
  { maxLength: 80 }
)

const limits: FastCheck.Arbitrary<AdmissionLimits> = FastCheck.record({
  connections: FastCheck.integer({ min: 1, max: 12 }),
  halfOpen: FastCheck.integer({ min: 1, max: 8 }),
  halfOpenPerSource: FastCheck.integer({ min: 1, max: 4 })
})

const namesOf = (connections: ReadonlyArray<TestConnection>) =>
  connections.map(({ name }) => name).toSorted((a, b) => a - b)

describe("AdmissionControl", () => {
  it.prop(
    "behaves like its model, and keeps its limits",
    { actions, limits },
    ({ actions, limits }) => {
      const admission = new AdmissionControl<TestConnection>(limits)
      const model = new Model(limits)
      const all: Array<TestConnection> = []
      const authenticated = new Set<TestConnection>()
      for (const action of actions) {
        if ("admit" in action) {
          const connection: TestConnection = {
            name: all.length,
            source: action.admit === 4 ? undefined : `source ${action.admit}`,
            responsive: false
          }
          all.push(connection)
          const evicted = admission.admit(connection)
          expect(evicted?.name).toBe(model.admit(connection)?.name)
          // An authenticated connection is never evicted.
          expect(evicted !== undefined && authenticated.has(evicted)).toBe(false)
        } else {
          const connection = all[Object.values(action)[0] as number]
          if (connection === undefined) continue
          const isAdmitted = admission.admitted.includes(connection)
          if ("markResponsive" in action) connection.responsive = true
          else if ("markAuthenticated" in action) {
            admission.markAuthenticated(connection)
            model.markAuthenticated(connection)
            if (isAdmitted) authenticated.add(connection)
          } else {
            admission.remove(connection)
            model.remove(connection)
            authenticated.delete(connection)
          }
        }
        expect(namesOf(admission.admitted)).toEqual(
          namesOf(model.entries.map(({ connection }) => connection))
        )
        expect(admission.size).toBe(admission.admitted.length)
        expect(admission.size).toBeLessThanOrEqual(limits.connections)
        const halfOpen = admission.admitted.filter((each) => !authenticated.has(each))
        expect(halfOpen.length).toBeLessThanOrEqual(limits.halfOpen)
        for (const { source } of halfOpen.filter(({ source }) => source !== undefined))
          expect(halfOpen.filter((each) => each.source === source).length).toBeLessThanOrEqual(
            limits.halfOpenPerSource
          )
      }
    },
    { fastCheck: { numRuns: 300 } }
  )

  const make = (name: number, source = "a"): TestConnection => ({ name, source, responsive: false })

  it("evicts the oldest unresponsive connection, otherwise the oldest", () => {
    const admission = new AdmissionControl<TestConnection>({
      connections: 10,
      halfOpen: 3,
      halfOpenPerSource: 3
    })
    const present = [0, 1, 2].map((name) => make(name, `${name}`))
    for (const each of present) expect(admission.admit(each)).toBeUndefined()
    ;(present[0] as TestConnection).responsive = true
    expect(admission.admit(make(3, "3"))).toBe(present[1])
    ;(present[2] as TestConnection).responsive = true
    expect(admission.admit({ ...make(4, "4"), responsive: true })?.name).toBe(3)
    expect(admission.admit(make(5, "5"))).toBe(present[0])
  })

  it("rejects the new connection only when all others are authenticated", () => {
    const admission = new AdmissionControl<TestConnection>({
      connections: 2,
      halfOpen: 2,
      halfOpenPerSource: 2
    })
    const present = [make(0), make(1)]
    for (const each of present) {
      admission.admit(each)
      admission.markAuthenticated(each)
    }
    const added = make(2)
    expect(admission.admit(added)).toBe(added)
    expect(admission.admitted).toEqual(present)
  })

  it("evicts only connections of a source that exceeds its limit", () => {
    const admission = new AdmissionControl<TestConnection>({
      connections: 100,
      halfOpen: 50,
      halfOpenPerSource: 4
    })
    const other = make(-1, "other")
    admission.admit(other)
    for (let name = 0; name < 1000; name++)
      expect(admission.admit(make(name))?.source ?? "a").toBe("a")
    expect(admission.admitted).toContain(other)
    expect(admission.size).toBe(5)
  })

  it("ignores markAuthenticated after remove, and counts nothing twice", () => {
    const admission = new AdmissionControl<TestConnection>({
      connections: 2,
      halfOpen: 2,
      halfOpenPerSource: 2
    })
    const only = make(0)
    admission.admit(only)
    admission.remove(only)
    admission.remove(only)
    admission.markAuthenticated(only)
    expect(admission.size).toBe(0)
  })
})

describe("limitedSourceOf", () => {
  it("is the source of a network address, and nothing for a Unix socket", () => {
    expect(limitedSourceOf("10.0.0.255:1")).toBe("10.0.0.255")
    expect(limitedSourceOf("unix:/run/app.sock")).toBeUndefined()
    expect(limitedSourceOf("unix:/run/app:8080")).toBeUndefined()
    expect(limitedSourceOf("socket")).toBeUndefined()
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
