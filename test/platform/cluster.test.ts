// A cluster whose runners know each other by their keys: who is not in the list is not heard, not called and given nothing.
import { createConnection } from "node:net"
import { it } from "@effect/vitest"
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
import { addressOf, calling, overhearing, person, running, storages } from "./clusterRig.ts"

const one = person("one", 4001)
const two = person("two", 4002)
const three = person("three", 4003)
const teller = person("teller")
const stranger = person("stranger", 4004)
const members = [one, two, three, teller].map(({ member }) => member)

const ids = Array.from({ length: 24 }, (_, index) => `tally-${index}`)

/** A cluster moves in its own time: thirty real seconds. */
const inTime = <A, E, R>(what: string, effect: Effect.Effect<A, E, R>) =>
  Effect.raceFirst(
    Effect.disconnect(effect),
    Effect.flatMap(pause(30_000), () => new WaitTimedOut({ for: what }))
  )

/** Until it succeeds. */
const persistently = <A, E, R>(what: string, effect: Effect.Effect<A, E, R>) =>
  inTime(what, Effect.eventually(Effect.tapErrorCause(effect, () => pause(50))))

/** Who serves all these tallies, by name. */
const servants = ({
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
    const { lines, layer } = overhearing()
    return test(lines).pipe(Effect.provide([Transport.layerMemory(), layer]))
  }

  it.scopedLive("carries calls and messages between its runners, and from who only calls", () =>
    run((lines) =>
      Effect.gen(function* () {
        const shared = yield* storages
        yield* Effect.forEach([one, two, three], (who) => running(who, shared, options))
        const client = yield* calling(teller, shared, options)
        yield* persistently("all three to serve", Effect.flatMap(servants(client), still(all)))
        for (const id of ids.slice(0, 6)) {
          expect(
            yield* inTime("an addition", client.tally(id).add({ id: `${id}-1`, count: 2 }))
          ).toBe(2)
          expect(yield* inTime("another", client.tally(id).add({ id: `${id}-2`, count: 3 }))).toBe(
            5
          )
          // The same message again is answered, and not handled again.
          expect(
            yield* inTime("the first again", client.tally(id).add({ id: `${id}-1`, count: 2 }))
          ).toBe(2)
        }
        expect(lines).toEqual([])
      })
    )
  )

  it.scopedLive("takes a second factor that all hold", () =>
    run(() =>
      Effect.gen(function* () {
        const shared = yield* storages
        const sharedKey = Secret.random(32)
        yield* running(one, shared, { members, sharedKey })
        const client = yield* calling(teller, shared, { members, sharedKey })
        yield* persistently("the ping", client.ping(addressOf(one)))
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
    "does not speak to what answers at a runner's address without its key, and says so once",
    () =>
      run((lines) =>
        Effect.gen(function* () {
          const shared = yield* storages
          // It calls itself two, with a key of its own.
          const impostor = {
            ...stranger,
            member: { ...stranger.member, name: "two", address: addressOf(two) }
          }
          yield* running(impostor, yield* storages, { members: [impostor.member, teller.member] })
          yield* running(one, shared, options)
          const client = yield* calling(teller, shared, options)
          yield* persistently("the ping", client.ping(addressOf(one)))
          for (let tries = 0; tries < 3; tries++)
            expect(
              yield* inTime("the refusal", Effect.flip(client.ping(addressOf(two))))
            ).toMatchObject({
              _tag: "RunnerUnavailable"
            })
          const said = lines.filter((line) => line.includes("127.0.0.1:4002"))
          expect(said.length).toBe(1)
          expect(said[0]).toContain(
            "127.0.0.1:4002 did not authenticate as two with the key sealwire1"
          )
        })
      )
  )

  it.scopedLive("does not hear who is not in its list, whatever that one's own list says", () =>
    run(() =>
      Effect.gen(function* () {
        const shared = yield* storages
        yield* running(one, shared, options)
        const outside = yield* calling(stranger, yield* storages, {
          members: [...members, stranger.member]
        })
        expect(
          yield* inTime("the refusal", Effect.flip(outside.ping(addressOf(one))))
        ).toMatchObject({
          _tag: "RunnerUnavailable"
        })
        const client = yield* calling(teller, shared, options)
        yield* persistently("the ping", client.ping(addressOf(one)))
      })
    )
  )

  it.scopedLive("gives no shards to a runner that the storage has and the list has not", () =>
    run((lines) =>
      Effect.gen(function* () {
        const shared = yield* storages
        const storage = Context.get(shared, RunnerStorage)
        yield* storage.register(
          Runner.make({ address: addressOf(stranger), groups: ["default"], weight: 100 }),
          true
        )
        yield* running(one, shared, options)
        const client = yield* calling(teller, shared, options)
        expect(yield* persistently("one to serve all", servants(client))).toEqual(["one"])
        const said = lines.filter((line) => line.includes("127.0.0.1:4004"))
        // The runner and the client each say it.
        expect(said).toEqual([said[0], said[0]])
        expect(said[0]).toContain("127.0.0.1:4004 is not a runner in the list of members")
        expect(
          yield* inTime("the refusal", Effect.flip(client.ping(addressOf(stranger))))
        ).toMatchObject({
          _tag: "RunnerUnavailable"
        })
      })
    )
  )

  it.scopedLive("holds each call to the rules of the member that makes it", () =>
    run(() =>
      Effect.gen(function* () {
        const shared = yield* storages
        const watcher = person("watcher", undefined, rulesOf({ rpcs: ["Ping"] }))
        const named = { members: [one.member, watcher.member, teller.member] }
        yield* running(one, shared, named)
        const [watching, client] = [
          yield* calling(watcher, shared, named),
          yield* calling(teller, shared, named)
        ]
        expect(yield* persistently("one to serve", client.tally("tally-1").servedBy())).toBe("one")
        yield* persistently("the ping", watching.ping(addressOf(one)))
        const refused = yield* inTime(
          "the refusal",
          Effect.exit(watching.tally("tally-1").servedBy())
        )
        expect(Exit.isFailure(refused) ? Cause.pretty(refused.cause) : "").toContain(
          "Effect was refused: the server's rules for this key do not allow it"
        )
        // Its connection is as good as before.
        yield* inTime("the ping", watching.ping(addressOf(one)))
      })
    )
  )

  it.scopedLive("calls a runner again that has come back", () =>
    run(() =>
      Effect.gen(function* () {
        const shared = yield* storages
        const client = yield* calling(teller, shared, options)
        for (const time of ["first", "second"]) {
          const scope = yield* Scope.make()
          yield* Scope.extend(running(one, shared, options), scope)
          yield* persistently(`the ${time} ping`, client.ping(addressOf(one)))
          expect(yield* persistently("one to serve", client.tally("tally-1").servedBy())).toBe(
            "one"
          )
          yield* inTime("its end", Scope.close(scope, Exit.void))
          yield* inTime("no answer", Effect.flip(client.ping(addressOf(one))))
        }
      })
    )
  )

  it.scopedLive(
    "cuts off who is taken out of the list, as caller and as called; a list with a fault changes nothing",
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
            yield* persistently("the ping", client.ping(addressOf(who)))
            yield* persistently("the other's ping", other.ping(addressOf(who)))
          }
          yield* PubSub.publish(lists, [...members, one.member])
          yield* inTime(
            "the complaints",
            Effect.repeat(pause(5), {
              until: () => lines.filter((line) => line.includes("duplicate name one")).length === 2
            })
          )
          yield* inTime("the ping", client.ping(addressOf(two)))
          yield* inTime("the other's ping", other.ping(addressOf(one)))
          // Two is to have a new key, which what answers there has not: that ends with the list, not with the connection.
          const renewed = { ...two.member, publicKey: stranger.member.publicKey }
          yield* PubSub.publish(lists, [one.member, renewed, three.member, teller.member])
          yield* persistently("two to be another", Effect.flip(client.ping(addressOf(two))))
          yield* PubSub.publish(lists, members)
          yield* persistently("two to be itself again", client.ping(addressOf(two)))
          yield* PubSub.publish(lists, [one.member, teller.member])
          // The client calls two no more, and one hears three no more.
          yield* persistently("two to be out", Effect.flip(client.ping(addressOf(two))))
          yield* persistently("three to be out", Effect.flip(other.ping(addressOf(one))))
          yield* inTime("the ping of who is in", client.ping(addressOf(one)))
          yield* inTime("the ping by another list", other.ping(addressOf(two)))
        })
      )
  )

  it.scopedLive("lets nobody join who is not what the list says", () =>
    run(() =>
      Effect.gen(function* () {
        const shared = yield* storages
        const refusal = (who: typeof one, list = members) =>
          Effect.flip(running(who, shared, { members: list }))
        expect(yield* refusal(stranger)).toMatchObject({
          _tag: "NotAMember",
          detail: "its key is not in the list of members"
        })
        expect(yield* refusal(teller)).toMatchObject({ _tag: "NotAMember" })
        expect(yield* refusal({ ...one, member: two.member })).toMatchObject({
          message: expect.stringContaining(
            "127.0.0.1:4002 as two, with another key; its key is sealwire1"
          )
        })
        expect(yield* refusal({ ...one, member: stranger.member })).toMatchObject({
          message: expect.stringContaining(
            "its address, 127.0.0.1:4004, is not in the list of members"
          )
        })
        const faults: ReadonlyArray<readonly [object, string]> = [
          [{ name: "one" }, "duplicate name one"],
          [{ name: "a b" }, '"a b" is not a valid name'],
          [{ publicKey: two.member.publicKey }, "two and new have the same key"],
          [{ publicKey: new Uint8Array(31) }, "the key of new has 31 bytes instead of 32"],
          [{ address: addressOf(one) }, "one and new have the same address"]
        ]
        for (const [fault, words] of faults) {
          const list = [...members, { ...person("new").member, ...fault }]
          expect(yield* refusal(one, list)).toMatchObject({
            _tag: "MembersInvalid",
            detail: expect.stringContaining(words)
          })
        }
        expect(yield* Effect.flip(calling(stranger, shared, options))).toMatchObject({
          _tag: "NotAMember"
        })
      })
    )
  )
})

it.scopedLive("over TCP, who speaks no channel gets nothing and disturbs nobody", () => {
  const { lines, layer } = overhearing()
  return Effect.gen(function* () {
    const shared = yield* storages
    const port = yield* freePort
    const real = person("one", port)
    const list = { members: [real.member, teller.member] }
    yield* running(real, shared, list)
    const client = yield* calling(teller, shared, list)
    yield* persistently("the ping", client.ping(addressOf(real)))
    // What a plain rpc client says: in MsgPack and in JSON.
    const request = { _tag: "Request", id: "1", tag: "Ping", payload: undefined, headers: [] }
    for (const words of [
      RpcSerialization.msgPack.unsafeMake().encode(request),
      `${JSON.stringify(request)}\n`
    ])
      expect(yield* inTime("its end", plainly(port, words as string | Uint8Array))).toBe(0)
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

/** Says this over plain TCP; gives how many bytes come until the server ends it. */
const plainly = (port: number, words: string | Uint8Array) =>
  Effect.async<number>((resume) => {
    let heard = 0
    const socket = createConnection(port, "127.0.0.1", () => socket.write(words))
    socket.on("data", (bytes) => (heard += bytes.length))
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(heard)))
    return Effect.sync(() => socket.destroy())
  })
