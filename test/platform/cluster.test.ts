// A cluster whose runners authenticate each other: a process that is not in the list can neither
// call nor be called, and gets no shards.
import { createConnection } from "node:net"
import { it } from "@effect/vitest"
import * as RunnerAddress from "@effect/cluster/RunnerAddress"
import * as Runner from "@effect/cluster/Runner"
import { RunnerStorage } from "@effect/cluster/RunnerStorage"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as PubSub from "effect/PubSub"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { describe, expect } from "vitest"
import { rulesOf } from "../peers/rulesOf.ts"
import { Secret } from "../../src/bytes/Secret.ts"
import { tcp } from "../../src/transports/Address.ts"
import { Transport } from "../../src/transports/index.ts"
import { pause, WaitTimedOut } from "../../src/testing/steps.ts"
import { addressOf, calling, recordWarnings, running, storages, testMember } from "./clusterRig.ts"

const one = testMember("one", 4001)
const two = testMember("two", 4002)
const three = testMember("three", 4003)
const teller = testMember("teller")
const unlistedMember = testMember("stranger", 4004)
const members = [one, two, three, teller].map(({ member }) => member)

const ids = Array.from({ length: 24 }, (_, index) => `tally-${index}`)

/** Waits for at most thirty real seconds: a cluster settles in real time. */
const inTime = <A, E, R>(what: string, effect: Effect.Effect<A, E, R>) =>
  Effect.raceFirst(
    Effect.disconnect(effect),
    Effect.flatMap(pause(30_000), () => new WaitTimedOut({ for: what }))
  )

/** Retries until it succeeds. */
const eventually = <A, E, R>(what: string, effect: Effect.Effect<A, E, R>) =>
  inTime(what, Effect.eventually(Effect.tapErrorCause(effect, () => pause(50))))

/** Returns the names of the runners that serve the tallies. */
const runnersOf = ({
  tally
}: {
  readonly tally: (id: string) => { readonly servedBy: () => Effect.Effect<string, unknown> }
}) =>
  Effect.map(
    Effect.forEach(ids, (id) => tally(id).servedBy(), { concurrency: 8 }),
    (names) => [...new Set(names)].toSorted()
  )

const all = ["one", "three", "two"]
const still =
  <A>(expected: A) =>
  (seen: A) =>
    JSON.stringify(seen) === JSON.stringify(expected) ? Effect.succeed(seen) : Effect.fail(seen)

const options = { members }

describe("a cluster in memory", () => {
  const run = <A, E>(
    test: (lines: Array<string>) => Effect.Effect<A, E, Transport | Scope.Scope>
  ) => {
    const { lines, layer } = recordWarnings()
    return test(lines).pipe(Effect.provide([Transport.layerMemory(), layer]))
  }

  it.scopedLive(
    "carries calls and messages between runners, and from a member that only calls",
    () =>
      run((lines) =>
        Effect.gen(function* () {
          const shared = yield* storages
          yield* Effect.forEach([one, two, three], (who) => running(who, shared, options))
          const client = yield* calling(teller, shared, options)
          yield* eventually("all three to serve", Effect.flatMap(runnersOf(client), still(all)))
          for (const id of ids.slice(0, 6)) {
            expect(
              yield* inTime("an addition", client.tally(id).add({ id: `${id}-1`, count: 2 }))
            ).toBe(2)
            expect(
              yield* inTime("another", client.tally(id).add({ id: `${id}-2`, count: 3 }))
            ).toBe(5)
            // A repeated message is answered without being handled again.
            expect(
              yield* inTime("the first again", client.tally(id).add({ id: `${id}-1`, count: 2 }))
            ).toBe(2)
          }
          expect(lines).toEqual([])
        })
      )
  )

  it.scopedLive("accepts a shared key as a second factor", () =>
    run(() =>
      Effect.gen(function* () {
        const shared = yield* storages
        const sharedKey = Secret.random(32)
        yield* running(one, shared, { members, sharedKey })
        const client = yield* calling(teller, shared, { members, sharedKey })
        yield* eventually("the ping", client.ping(addressOf(one)))
        const without = yield* calling(two, shared, { members })
        expect(
          yield* inTime("the refusal", Effect.flip(without.ping(addressOf(one))))
        ).toMatchObject({
          _tag: "RunnerUnavailable"
        })
      })
    )
  )

  it.scopedLive(
    "does not use a process at a runner's address without its key, and logs that once",
    () =>
      run((lines) =>
        Effect.gen(function* () {
          const shared = yield* storages
          // A process at the address of two with another key.
          const impostor = {
            ...unlistedMember,
            member: { ...unlistedMember.member, name: "two", address: addressOf(two) }
          }
          yield* running(impostor, yield* storages, { members: [impostor.member, teller.member] })
          yield* running(one, shared, options)
          const client = yield* calling(teller, shared, options)
          yield* eventually("the ping", client.ping(addressOf(one)))
          for (let tries = 0; tries < 3; tries++)
            expect(
              yield* inTime("the refusal", Effect.flip(client.ping(addressOf(two))))
            ).toMatchObject({
              _tag: "RunnerUnavailable"
            })
          const warnings = lines.filter((line) => line.includes("127.0.0.1:4002"))
          expect(warnings.length).toBe(1)
          expect(warnings[0]).toContain(
            "127.0.0.1:4002 did not authenticate as two with the key sealwire1"
          )
        })
      )
  )

  it.scopedLive("refuses a caller that is not in its list, whatever the caller's list says", () =>
    run(() =>
      Effect.gen(function* () {
        const shared = yield* storages
        yield* running(one, shared, options)
        const unlisted = yield* calling(unlistedMember, yield* storages, {
          members: [...members, unlistedMember.member]
        })
        expect(
          yield* inTime("the refusal", Effect.flip(unlisted.ping(addressOf(one))))
        ).toMatchObject({
          _tag: "RunnerUnavailable"
        })
        const client = yield* calling(teller, shared, options)
        yield* eventually("the ping", client.ping(addressOf(one)))
      })
    )
  )

  it.scopedLive("gives no shards to a runner that only the storage has", () =>
    run((lines) =>
      Effect.gen(function* () {
        const shared = yield* storages
        const storage = Context.get(shared, RunnerStorage)
        yield* storage.register(
          Runner.make({ address: addressOf(unlistedMember), groups: ["default"], weight: 100 }),
          true
        )
        yield* running(one, shared, options)
        const client = yield* calling(teller, shared, options)
        expect(yield* eventually("one to serve all", runnersOf(client))).toEqual(["one"])
        const warnings = lines.filter((line) => line.includes("127.0.0.1:4004"))
        // The runner and the client each log it.
        expect(warnings).toEqual([warnings[0], warnings[0]])
        expect(warnings[0]).toContain("127.0.0.1:4004 is not a runner in the list of members")
        expect(
          yield* inTime("the refusal", Effect.flip(client.ping(addressOf(unlistedMember))))
        ).toMatchObject({
          _tag: "RunnerUnavailable"
        })
      })
    )
  )

  it.scopedLive("applies the rules of the calling member to each call", () =>
    run(() =>
      Effect.gen(function* () {
        const shared = yield* storages
        const watcher = testMember("watcher", undefined, rulesOf({ rpcs: ["Ping"] }))
        const named = { members: [one.member, watcher.member, teller.member] }
        yield* running(one, shared, named)
        const [watching, client] = [
          yield* calling(watcher, shared, named),
          yield* calling(teller, shared, named)
        ]
        expect(yield* eventually("one to serve", client.tally("tally-1").servedBy())).toBe("one")
        yield* eventually("the ping", watching.ping(addressOf(one)))
        const refused = yield* inTime(
          "the refusal",
          Effect.exit(watching.tally("tally-1").servedBy())
        )
        expect(Exit.isFailure(refused) ? Cause.pretty(refused.cause) : "").toContain(
          "Effect was refused: the server's rules for this key do not allow it"
        )
        // Its connection stays open.
        yield* inTime("the ping", watching.ping(addressOf(one)))
      })
    )
  )

  it.scopedLive("reconnects to a runner that was restarted", () =>
    run(() =>
      Effect.gen(function* () {
        const shared = yield* storages
        const client = yield* calling(teller, shared, options)
        for (const time of ["first", "second"]) {
          const scope = yield* Scope.make()
          yield* Scope.extend(running(one, shared, options), scope)
          yield* eventually(`the ${time} ping`, client.ping(addressOf(one)))
          expect(yield* eventually("one to serve", client.tally("tally-1").servedBy())).toBe("one")
          yield* inTime("its end", Scope.close(scope, Exit.void))
          yield* inTime("no answer", Effect.flip(client.ping(addressOf(one))))
        }
      })
    )
  )

  it.scopedLive(
    "disconnects a removed member in both directions; an invalid list changes nothing",
    () =>
      run((lines) =>
        Effect.gen(function* () {
          const shared = yield* storages
          const lists = yield* PubSub.unbounded<typeof members>()
          const changing = {
            members,
            changes: Stream.unwrapScoped(Effect.map(PubSub.subscribe(lists), Stream.fromQueue))
          }
          yield* running(one, shared, changing)
          yield* running(two, shared, options)
          const [client, other] = [
            yield* calling(teller, shared, changing),
            yield* calling(three, shared, options)
          ]
          for (const who of [one, two]) {
            yield* eventually("the ping", client.ping(addressOf(who)))
            yield* eventually("the other's ping", other.ping(addressOf(who)))
          }
          yield* PubSub.publish(lists, [...members, one.member])
          yield* inTime(
            "the warnings",
            Effect.repeat(pause(5), {
              until: () => lines.filter((line) => line.includes("duplicate name one")).length === 2
            })
          )
          yield* inTime("the ping", client.ping(addressOf(two)))
          yield* inTime("the other's ping", other.ping(addressOf(one)))
          // The list gives two a new key, which the process there does not have.
          const renewed = { ...two.member, publicKey: unlistedMember.member.publicKey }
          yield* PubSub.publish(lists, [one.member, renewed, three.member, teller.member])
          yield* eventually("two to be another", Effect.flip(client.ping(addressOf(two))))
          yield* PubSub.publish(lists, members)
          yield* eventually("two to be itself again", client.ping(addressOf(two)))
          yield* PubSub.publish(lists, [one.member, teller.member])
          // The client no longer calls two, and one no longer accepts three.
          yield* eventually("two to be out", Effect.flip(client.ping(addressOf(two))))
          yield* eventually("three to be out", Effect.flip(other.ping(addressOf(one))))
          yield* inTime("the ping of a member", client.ping(addressOf(one)))
          yield* inTime("the ping by another list", other.ping(addressOf(two)))
        })
      )
  )

  it.scopedLive("refuses to start a process that does not match the list", () =>
    run(() =>
      Effect.gen(function* () {
        const shared = yield* storages
        const refusal = (who: typeof one, list = members) =>
          Effect.flip(running(who, shared, { members: list }))
        expect(yield* refusal(unlistedMember)).toMatchObject({
          _tag: "NotAMember",
          detail: "its key is not in the list of members"
        })
        expect(yield* refusal(teller)).toMatchObject({ _tag: "NotAMember" })
        expect(yield* refusal({ ...one, member: two.member })).toMatchObject({
          message: expect.stringContaining(
            "127.0.0.1:4002 as two, with another key; its key is sealwire1"
          )
        })
        expect(yield* refusal({ ...one, member: unlistedMember.member })).toMatchObject({
          message: expect.stringContaining(
            "its address, 127.0.0.1:4004, is not in the list of members"
          )
        })
        const faults: ReadonlyArray<readonly [object, string]> = [
          [{ name: "one" }, "duplicate name one"],
          [{ name: "a b" }, '"a b" is not a valid name'],
          [{ publicKey: two.member.publicKey }, "two and new have the same key"],
          [{ publicKey: new Uint8Array(31) }, "the key of new has 31 bytes instead of 32"],
          [{ address: addressOf(one) }, "one and new have the same address"],
          [
            { address: RunnerAddress.make("good.example/evil", 1) },
            "the address of new has an invalid host"
          ],
          [
            { address: RunnerAddress.make("::ffff:127.0.0.1", addressOf(one).port) },
            "one and new have the same address"
          ]
        ]
        for (const [fault, words] of faults) {
          const list = [...members, { ...testMember("new").member, ...fault }]
          expect(yield* refusal(one, list)).toMatchObject({
            _tag: "MembersInvalid",
            detail: expect.stringContaining(words)
          })
        }
        expect(yield* Effect.flip(calling(unlistedMember, shared, options))).toMatchObject({
          _tag: "NotAMember"
        })
      })
    )
  )
})

it.scopedLive("over TCP, a client without a channel gets no byte and disturbs no member", () => {
  const { lines, layer } = recordWarnings()
  return Effect.gen(function* () {
    const shared = yield* storages
    const port = yield* freePort
    const real = testMember("one", port)
    const list = { members: [real.member, teller.member] }
    yield* running(real, shared, list)
    const client = yield* calling(teller, shared, list)
    yield* eventually("the ping", client.ping(addressOf(real)))
    // The request of a plain rpc client, in MsgPack and in JSON.
    const request = { _tag: "Request", id: "1", tag: "Ping", payload: undefined, headers: [] }
    for (const words of [
      RpcSerialization.msgPack.unsafeMake().encode(request),
      `${JSON.stringify(request)}\n`
    ])
      expect(yield* inTime("its end", sendPlain(port, words as string | Uint8Array))).toBe(0)
    yield* inTime("the ping", client.ping(addressOf(real)))
    expect(lines).toEqual([])
  }).pipe(Effect.provide([Transport.layerNet, layer]))
})

const freePort = Effect.scoped(
  Effect.flatMap(Transport, (transport) =>
    Effect.map(
      transport.listen(tcp("127.0.0.1", 0), () => Effect.void),
      ({ address }) => (address._tag === "Tcp" ? address.port : 0)
    )
  )
)

/** Sends bytes over plain TCP; returns the number of bytes received until the end. */
const sendPlain = (port: number, words: string | Uint8Array) =>
  Effect.async<number>((resume) => {
    let received = 0
    const socket = createConnection(port, "127.0.0.1", () => socket.write(words))
    socket.on("data", (bytes) => (received += bytes.length))
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(received)))
    return Effect.sync(() => socket.destroy())
  })
