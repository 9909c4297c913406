// The model of PEERS.md section 5: random sequences of what a server, its client, its user and a
// thief do. The announcements are real, with real proofs, and so are the client's files.
import { readFileSync, writeFileSync } from "node:fs"
import path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as TestClock from "effect/TestClock"
import * as Possession from "../../src/channel/Possession.ts"
import { generate, type KeyPair } from "../../src/keys/KeyPair.ts"
import * as KnownPeers from "../../src/peers/KnownPeers.ts"
import * as PeerEdits from "../../src/peers/PeerEdits.ts"
import { formatKnown } from "../../src/peers/Peers.ts"
import * as KeyAnnouncement from "../../src/services/KeyAnnouncement.ts"
import { sharedFolder } from "../fixtures/folder.ts"
import { runs } from "../fixtures/sample.ts"

const file = path.join(sharedFolder(), "known_peers")
const address = "mail.example:8080"
const hour = 60 * 60 * 1000

type Key = KeyAnnouncement.OwnKey
const isSame = (
  one: { readonly publicKey: Uint8Array },
  other: { readonly publicKey: Uint8Array }
) => Buffer.compare(one.publicKey, other.publicKey) === 0
const has = (
  keys: ReadonlyArray<{ readonly publicKey: Uint8Array }>,
  key: { readonly publicKey: Uint8Array }
) => keys.some((one) => isSame(one, key))

/** Everything that takes part. `server` and `thief` hold private keys; the client has its file. */
class World {
  /** The true server's keys, in the order in which it announces them. */
  server: ReadonlyArray<Key> = [generate()]
  /** Every key that the true server ever had. */
  readonly everHeld: Array<Key> = [...this.server]
  readonly pinned = this.server[0] as Key
  thief: ReadonlyArray<KeyPair> = [generate(), generate()]
  readonly revoked: Array<KeyPair> = []

  constructor() {
    writeFileSync(file, `${formatKnown(address, this.pinned.publicKey, "mail")}\n`, { mode: 0o600 })
  }

  /** The keys with which the client would connect now, in order. */
  get believed() {
    return KnownPeers.lookUp(file, { address, acceptNew: true })
  }

  /** The server's keys that are in use now. */
  get valid() {
    return Effect.map(Clock.currentTimeMillis, (now) =>
      this.server.filter(({ retires = Infinity }) => now < retires)
    )
  }

  /** Sends an announcement through a channel to the client; false if it broke the protocol. */
  announce(shown: Uint8Array, keys: ReadonlyArray<Key>) {
    const ephemeral = generate()
    const hash = Buffer.alloc(32, 3)
    const far = Possession.ofServer(hash, ephemeral.publicKey)
    const near = Possession.ofClient(hash, ephemeral)
    const body = KeyAnnouncement.encode(keys, { shown, possession: far })
    const heard = body && KeyAnnouncement.decode(body, { shown, possession: near })
    return heard === undefined
      ? Effect.succeed(false)
      : Effect.as(KnownPeers.learn(file, address, shown, heard), true)
  }

  /**
   * The client connects to the true server: it tries its keys in order. Returns the pin that fitted.
   */
  readonly meetServer = Effect.gen(this, function* () {
    const valid = yield* this.valid
    const pin = (yield* this.believed).find((known) => has(valid, known))
    if (pin !== undefined) expect(yield* this.announce(pin.publicKey, valid)).toBe(true)
    return pin
  })

  /** The thief stands in for the server, under a key that it holds and the client believes. */
  meetThief(keys: ReadonlyArray<Key>) {
    return Effect.gen(this, function* () {
      const pin = (yield* this.believed).find((known) => has(this.thief, known))
      if (pin === undefined) return false
      const shown = this.thief.find((key) => isSame(key, pin)) as Key
      const [current = shown, ...others] = has(keys, shown) ? keys : [...keys, shown]
      const { retires: _, ...currentForEver } = current
      return yield* this.announce(pin.publicKey, [currentForEver, ...others])
    })
  }
}

/** What can happen. `pick` chooses among what is there. */
type Step = (world: World, pick: number) => Effect.Effect<unknown, unknown>

const addToServer = (world: World, key: Key) => {
  world.everHeld.push(key)
  return key
}

const serverSteps: Readonly<Record<string, Step>> = {
  "keys rotate --begin": (world) =>
    Effect.sync(() => {
      const [current, ...retiring] = world.server as [Key, ...ReadonlyArray<Key>]
      if (world.server.length < 3)
        world.server = [current, addToServer(world, generate()), ...retiring]
    }),
  "the next key is discarded": (world) =>
    Effect.sync(() => {
      world.server = world.server.filter(
        ({ retires }, index) => index === 0 || retires !== undefined
      )
    }),
  "keys rotate --switch": (world, pick) =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      const [current, next, ...others] = world.server as ReadonlyArray<Key>
      if (current === undefined || next === undefined || next.retires !== undefined) return
      const retires = Math.ceil(now / 1000) * 1000 + (1 + (pick % 5)) * hour
      world.server = [next, { ...current, retires }, ...others]
    }),
  "keys rotate --finish": (world) =>
    Effect.map(world.valid, (valid) => {
      world.server = valid
    }),
  "an hour passes": () => TestClock.adjust(hour),
  "the client connects": (world) => world.meetServer
}

/** A rotation up to the switch, heard by the client: its old key retires. */
const rotation: Step = (world, pick) =>
  Effect.forEach(
    ["keys rotate --begin", "the client connects", "keys rotate --switch", "the client connects"],
    (what) => (serverSteps[what] as Step)(world, pick),
    { discard: true }
  )

const datesOf = (keys: ReadonlyArray<KeyPair>, pick: number, now: number): ReadonlyArray<Key> =>
  keys.map((key, index) =>
    (pick >> index) % 3 === 0
      ? { ...key, retires: Math.ceil(now / 1000) * 1000 + (1 + (pick % 4)) * hour }
      : key
  )

/** A subset of keys, chosen by the bits of `pick`. */
const someOf = <A>(all: ReadonlyArray<A>, pick: number, most: number): ReadonlyArray<A> =>
  all.filter((_, index) => ((pick >> index) & 1) === 1).slice(0, most)

const thiefSteps: Readonly<Record<string, Step>> = {
  "the thief makes a key": (world) =>
    Effect.sync(() => {
      world.thief = [generate(), ...world.thief].slice(0, 6)
    }),
  "the thief announces keys that it holds": (world, pick) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      world.meetThief(datesOf(someOf(world.thief, pick, 3), pick >> 4, now))
    ),
  "the thief announces a key that it does not hold": (world, pick) =>
    Effect.gen(function* () {
      const foreign = [...world.everHeld, generate()].filter((key) => !has(world.thief, key))
      const victim = foreign[pick % foreign.length] as Key
      const own = world.thief[0] as KeyPair
      const before = readFileSync(file, "utf8")
      const claimed = { publicKey: victim.publicKey, privateKey: own.privateKey }
      expect(yield* world.meetThief([claimed])).toBe(false)
      expect(readFileSync(file, "utf8")).toBe(before)
    })
}

const steal = (world: World, key: Key | undefined) =>
  Effect.sync(() => {
    if (key !== undefined && !has(world.thief, key)) world.thief = [key, ...world.thief]
  })

/** Thefts of any key that the server ever had, the current one too. */
const anyTheft: Readonly<Record<string, Step>> = {
  "a key is stolen": (world, pick) => steal(world, world.everHeld[pick % world.everHeld.length])
}

/** Thefts of keys that the client knows as retiring or retired, or never heard of. */
const lateTheft: Readonly<Record<string, Step>> = {
  "a rotation": rotation,
  "an old key is stolen": (world, pick) =>
    Effect.gen(function* () {
      const believed = yield* world.believed
      const old = world.everHeld.filter(
        (key) => !believed.some((pin) => isSame(pin, key) && pin.pin.retires === undefined)
      )
      // A key that the client may still learn is no old one.
      const candidates = old.filter(
        (key) => !world.server.some((one) => isSame(one, key) && one.retires === undefined)
      )
      yield* steal(world, candidates[pick % Math.max(1, candidates.length)])
    })
}

const userSteps: Readonly<Record<string, Step>> = {
  "the user revokes a key": (world, pick) =>
    Effect.gen(function* () {
      const believed = yield* world.believed
      const pin = believed[pick % Math.max(1, believed.length)]
      if (pin === undefined || world.revoked.length > 1) return
      const key = [...world.everHeld, ...world.thief].find((one) => isSame(one, pin))
      if (key !== undefined) world.revoked.push(key)
      writeFileSync(file, PeerEdits.revoke(readFileSync(file, "utf8"), [pin.line]))
    })
}

/** Runs random steps; `check` runs after each. */
const holds = (
  steps: Readonly<Record<string, Step>>,
  check: (world: World) => Effect.Effect<unknown, unknown>
) => {
  const happenings = FastCheck.array(
    FastCheck.record({
      what: FastCheck.constantFrom(...Object.keys(steps)),
      pick: FastCheck.nat(1023)
    }),
    { minLength: 4, maxLength: 30 }
  )
  return [
    { happenings },
    ({
      happenings: all
    }: {
      readonly happenings: ReadonlyArray<{ readonly what: string; readonly pick: number }>
    }) =>
      Effect.gen(function* () {
        yield* TestClock.setTime(Date.UTC(2026, 0, 1))
        const world = new World()
        for (const { what, pick } of all) {
          yield* (steps[what] as Step)(world, pick)
          yield* check(world)
        }
      }),
    { fastCheck: { numRuns: runs(10, 300) } }
  ] as const
}

/** After honest contact under a key that does not retire, exactly the server's keys are believed. */
const heals = (world: World) =>
  Effect.gen(function* () {
    const text = readFileSync(file, "utf8")
    const pin = yield* world.meetServer
    if (pin !== undefined && pin.pin.retires === undefined) {
      const [valid, believed] = [yield* world.valid, yield* world.believed]
      for (const key of believed) expect(has(valid, key)).toBe(true)
      // The key that the user has pinned is not restored; each other is.
      for (const key of valid)
        if (!has(world.revoked, key) && !isSame(key, world.pinned))
          expect(has(believed, key)).toBe(true)
    }
    // The check is not one of the steps.
    writeFileSync(file, text)
  })

const staysRevoked = (world: World) =>
  Effect.map(world.believed, (believed) => {
    for (const key of world.revoked) expect(has(believed, key)).toBe(false)
  })

const isHonest = (world: World) =>
  Effect.map(world.believed, (believed) => {
    for (const key of believed) expect(has(world.everHeld, key)).toBe(true)
  })

describe("whatever a thief does", () => {
  it.effect.prop(
    "no key of a thief survives an honest announcement, and every key of the server is back",
    ...holds({ ...serverSteps, ...thiefSteps, ...anyTheft, ...userSteps }, (world) =>
      Effect.zipRight(staysRevoked(world), heals(world))
    )
  )

  it.effect.prop(
    "without a stolen key, or with keys that retire, no key that the server never had is believed",
    ...holds({ ...serverSteps, ...thiefSteps, ...lateTheft }, isHonest)
  )
})

describe("without a thief", () => {
  it.effect.prop(
    "a client that connects within each step always has a key that fits",
    ...holds(serverSteps, (world) =>
      Effect.gen(function* () {
        expect(yield* world.meetServer).toBeDefined()
        expect((yield* world.believed).length).toBeGreaterThan(0)
      })
    )
  )
})
