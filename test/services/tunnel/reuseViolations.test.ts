// Peers that break the rules of channels that are used again (TUNNEL.md section 4): the plain side
// is reset, and never sees an end that its program did not cause.
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { Control, type Channel } from "../../../src/channel/Channel.ts"
import { ChannelClosed, type ChannelError } from "../../../src/channel/ChannelErrors.ts"
import { dial } from "../../../src/services/Dial.ts"
import * as Server from "../../../src/services/Server.ts"
import type { Service } from "../../../src/services/Service.ts"
import { decode, encode, type TunnelMessage } from "../../../src/services/tunnel/Messages.ts"
import { forward } from "../../../src/services/tunnel/TunnelClient.ts"
import { waitUntil, withTimeout } from "../../../src/testing/steps.ts"
import type { Connection } from "../../../src/transports/Connection.ts"
import { Transport } from "../../../src/transports/index.ts"
import * as Address from "../../../src/transports/Address.ts"
import { anyPort, dialKeys, serverKeys, suiteOf } from "../../channel/rig.ts"
import { rig } from "./tunnelRig.ts"

type Step = TunnelMessage | "data" | "fin" | "cut"

const stepOf = (
  channel: Channel,
  wire: Connection,
  step: Step
): Effect.Effect<void, ChannelError> => {
  if (step === "data") return channel.write(Buffer.from("evil"))
  if (step === "fin") return channel.end
  return step === "cut" ? wire.abort : channel.sendControl(encode(step))
}

/** Everything that a program reads, and the end of it: "end", or the code of an error. */
const observe = ({ read }: Connection) => {
  const observed = { text: "", outcome: "open" }
  const reading = Effect.gen(function* () {
    for (;;) {
      const chunk = yield* read
      if (chunk === undefined) return void (observed.outcome = "end")
      observed.text += Buffer.from(chunk).toString()
    }
  }).pipe(Effect.catchAll(({ code }) => Effect.sync(() => void (observed.outcome = code))))
  return Effect.as(Effect.fork(reading), observed)
}

const dialReused = (address: Address.Address) =>
  dial({ address, keys: dialKeys(suiteOf("IK")) }, "tunnel it +reuse")

describe.each([
  ["memory", Transport.layerMemory()],
  ["sockets", Transport.layerNet]
] as const)("over %s", (_, layer) => {
  describe("the far end resets its target after the near end's", () => {
    it.scopedLive.each<readonly [string, ReadonlyArray<Step>]>([
      ["FIN in place of end", ["fin"]],
      ["cut", ["cut"]],
      ["go in a connection", ["go"]],
      ["offered", ["offered"]],
      ["connected", ["connected"]],
      ["data, then go in place of end", ["data", "go"]]
    ])("%s: it sees no end", ([, steps]) =>
      Effect.gen(function* () {
        const { server, next, wires } = yield* rig({ pool: 0 })
        const channel = yield* dialReused(server.address)
        yield* channel.sendControl(encode("go"))
        const { connection } = yield* next
        const observed = yield* observe(connection)
        const wire = wires.at(-1)
        for (const step of steps)
          yield* step === "cut" || wire === undefined ? channel.reset : stepOf(channel, wire, step)
        yield* waitUntil("the outcome", () => observed.outcome !== "open")
        expect(observed.outcome).toBe("ECONNRESET")
      }).pipe(Effect.provide(layer))
    )

    it.scopedLive.each<readonly [string, ReadonlyArray<Step>]>([
      ["data after end", ["data"]],
      ["second end", ["end"]],
      ["FIN after end", ["fin"]],
      ["go before the target's end", ["go"]],
      ["go and data before the target's end", ["go", "data"]],
      ["cut after end", ["cut"]]
    ])("%s: the other direction is cut, and no byte arrives", ([, steps]) =>
      Effect.gen(function* () {
        const { server, next, waiting, events } = yield* rig({ pool: 0 })
        const channel = yield* dialReused(server.address)
        yield* channel.sendControl(encode("go"))
        const { connection } = yield* next
        const observed = yield* observe(connection)
        yield* channel.write(Buffer.from("good"))
        yield* channel.sendControl(encode("end"))
        yield* waitUntil("the end", () => observed.outcome === "end")
        for (const step of steps)
          yield* step === "cut" ? channel.reset : stepOf(channel, connection, step)
        const failed = yield* withTimeout(
          "the reset",
          Effect.flip(Effect.forever(Effect.delay(connection.write(Buffer.from("x")), 2)))
        )
        expect(["ECONNRESET", "EPIPE"]).toContain(failed.code)
        expect(observed.text).toBe("good")
        expect(yield* waiting).toBe(0)
        yield* waitUntil("the session's end", () =>
          events.some((event) => event._tag === "SessionEnded" && event.counted.connections === 1)
        )
        const ended = events.find(
          (event) => event._tag === "SessionEnded" && event.counted.connections === 1
        )
        expect(ended).not.toMatchObject({ error: undefined })
      }).pipe(Effect.provide(layer))
    )

    it.scopedLive.each<readonly [string, ReadonlyArray<Step>]>([
      ["data in place of go", ["data"]],
      ["a second end", ["end"]],
      ["another message", ["connected"]]
    ])("after both ends, %s ends the channel, and reaches no target", ([, steps]) =>
      Effect.gen(function* () {
        const { server, next, waiting, events } = yield* rig({ pool: 0 })
        const channel = yield* dialReused(server.address)
        yield* channel.sendControl(encode("go"))
        const { connection, close } = yield* next
        const observed = yield* observe(connection)
        yield* channel.sendControl(encode("end"))
        yield* waitUntil("the end", () => observed.outcome === "end")
        yield* connection.end
        yield* close()
        for (const name of ["offered", "connected", "end", "offered"])
          expect(name).toBe(nameOf(yield* withTimeout(name, channel.read)))
        for (const step of steps) yield* stepOf(channel, connection, step)
        yield* withTimeout("the reset", Effect.flip(channel.read))
        yield* waitUntil("its session's end", () =>
          events.some((event) => event._tag === "SessionEnded" && event.error !== undefined)
        )
        expect(
          events.flatMap((event) =>
            event._tag === "SessionEnded" && event.error !== undefined ? [event.error._tag] : []
          )
        ).toEqual(["ChannelTampered"])
        expect([yield* waiting, observed.text]).toEqual([0, ""])
      }).pipe(Effect.provide(layer))
    )
  })

  describe("the near end resets its program after the far end's", () => {
    /** A server that answers `go` with `steps`, and records how the channel ends. */
    const serverThatSends = (steps: ReadonlyArray<Step>) =>
      Effect.gen(function* () {
        const service: Service = {
          name: "tunnel",
          takesArgument: true,
          run: ({ channel, connection }) =>
            Effect.gen(function* () {
              yield* channel.sendControl(encode("offered"))
              yield* channel.read
              for (const step of steps) yield* stepOf(channel, connection, step)
              yield* Effect.forever(Effect.filterOrFail(channel.read, isItem, closed))
            })
        }
        const listening = yield* Deferred.make<Address.Address>()
        yield* Effect.forkScoped(
          Server.serve({
            address: anyPort,
            keys: serverKeys,
            services: [service],
            on: (event) =>
              event._tag === "Listening" ? Deferred.succeed(listening, event.address) : Effect.void
          })
        )
        return yield* withTimeout("the server", Deferred.await(listening))
      })

    it.scopedLive.each<readonly [string, ReadonlyArray<Step>, string]>([
      ["FIN in place of end", ["connected", "data", "fin"], "evil"],
      ["FIN in place of connected", ["fin"], ""],
      ["end before connected", ["end"], ""],
      ["end before connected, and data", ["end", "data"], ""],
      ["go", ["connected", "data", "go"], "evil"],
      ["offer in a connection", ["connected", "data", "offered"], "evil"],
      ["cut", ["connected", "data", "cut"], "evil"]
    ])("%s: it sees no end", ([, steps, most]) =>
      Effect.gen(function* () {
        const { program, error } = yield* forwarded(yield* serverThatSends(steps))
        yield* waitUntil("the outcome", () => program.outcome !== "open")
        expect(program.outcome).toBe("ECONNRESET")
        expect(["", most]).toContain(program.text)
        yield* withTimeout("the error", error)
      }).pipe(Effect.provide(layer))
    )

    it.scopedLive.each<readonly [string, ReadonlyArray<Step>]>([
      ["data after end", ["data"]],
      ["second end", ["end"]],
      ["FIN after end", ["fin"]],
      ["offer before the near end's end", ["offered"]],
      ["cut after end", ["cut"]]
    ])("%s: the other direction is cut, and no byte arrives", ([, steps]) =>
      Effect.gen(function* () {
        const address = yield* serverThatSends(["connected", "end", ...steps])
        const { program, error } = yield* forwarded(address)
        expect(["ChannelTampered", "ChannelClosed", "StreamTruncated"]).toContain(
          (yield* withTimeout("the error", error))._tag
        )
        expect(program.text).toBe("")
      }).pipe(Effect.provide(layer))
    )
  })
})

const isItem = <A>(item: A | undefined): item is A => item !== undefined
const closed = () => new ChannelClosed({ peer: "the near end", reason: "it has finished" })
const nameOf = (item: unknown) => (item instanceof Control ? decode(item.body) : "other")

/** A program whose connection goes to the server; it sees what `program` records. */
const forwarded = (address: Address.Address) =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const accepted = yield* Deferred.make<Connection>()
    const listener = yield* transport.listen(anyPort, (connection) =>
      Effect.gen(function* () {
        connection.markAuthenticated()
        yield* Deferred.succeed(accepted, connection)
        yield* Effect.raceFirst(Effect.never, connection.draining)
      })
    )
    const own = yield* transport.connect(listener.address)
    const plain = yield* withTimeout("the connection", Deferred.await(accepted))
    const program = yield* observe(own)
    const channel = yield* dialReused(address)
    expect(nameOf(yield* channel.read)).toBe("offered")
    const running = yield* Effect.fork(
      Effect.flip(forward({ peer: "a program", flow: plain.flow }, channel, {}))
    )
    return { program, own, error: running.await.pipe(Effect.flatMap((exit) => exit)) }
  })
