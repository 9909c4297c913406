// The contract of @effect/platform's Socket and SocketServer, and a test for each fault of the
// plain ones of this version.
import { it } from "@effect/vitest"
import * as Socket from "@effect/platform/Socket"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { describe, expect } from "vitest"
import { peerOf } from "../../src/platform/Peer.ts"
import * as SecureSocket from "../../src/platform/SecureSocket.ts"
import * as SecureSocketServer from "../../src/platform/SecureSocketServer.ts"
import { Transport } from "../../src/transports/index.ts"
import { dialKeys, mallory, serverKeys, suiteOf } from "../channel/rig.ts"
import { settled, pause, withTimeout, waitUntil } from "../../src/testing/steps.ts"
import { anywhere, optionsFor, serving } from "./rig.ts"

const quiet = Logger.replace(Logger.defaultLogger, Logger.none)

/** Echoes, and ends after the client. */
const echo = (socket: Socket.Socket) =>
  Effect.scoped(Effect.flatMap(socket.writer, (write) => socket.run((chunk) => write(chunk))))

const transports = [
  ["net", Transport.layerNet],
  ["memory", Transport.layerMemory()],
  ["memory, a byte at a time", Transport.layerMemory({ chunkBytes: 1 })]
] as const

describe.each(transports)("a socket over %s", (_, transport) => {
  const live = Effect.provide(Layer.merge(transport, quiet))

  it.scopedLive("carries bytes in both directions, also as a stream", () =>
    Effect.gen(function* () {
      const socket = yield* SecureSocket.make(yield* serving(echo))
      const texts = ["hello", "and", "goodbye"]
      const received = yield* Stream.make(...texts).pipe(
        Stream.encodeText,
        Stream.pipeThroughChannel(Socket.toChannel(socket)),
        Stream.decodeText(),
        Stream.mkString
      )
      expect(received).toBe(texts.join(""))
    }).pipe(live)
  )

  it.scopedLive("can be run repeatedly, each time over a new connection", () =>
    Effect.gen(function* () {
      const suites: Array<string> = []
      const options = yield* serving((socket) => {
        suites.push(peerOf(socket)?.name ?? "none")
        return echo(socket)
      })
      const socket = yield* SecureSocket.make(options)
      for (const message of ["first", "second", "third"]) {
        const received = yield* Deferred.make<string>()
        const open = yield* Deferred.make<void>()
        const run = yield* Effect.fork(
          socket.run((chunk) => Deferred.succeed(received, Buffer.from(chunk).toString()), {
            onOpen: Effect.asVoid(Deferred.succeed(open, undefined))
          })
        )
        yield* withTimeout("the open", Deferred.await(open))
        yield* Effect.scoped(
          Effect.gen(function* () {
            const write = yield* socket.writer
            yield* write(message)
            yield* withTimeout("the echo", Deferred.await(received))
          })
        )
        // The end of the writer is the half-close, which ends the echo.
        yield* withTimeout("the end", Fiber.join(run))
        expect(message.startsWith(yield* Deferred.await(received))).toBe(true)
      }
      expect(suites).toEqual(["alice", "alice", "alice"])
    }).pipe(live)
  )

  it.scopedLive("calls onOpen after authentication; earlier writes wait for it", () =>
    Effect.gen(function* () {
      const socket = yield* SecureSocket.make(yield* serving(echo))
      const order: Array<string> = []
      const write = yield* socket.writer
      const early = yield* Effect.fork(
        Effect.tap(write("early"), () => Effect.sync(() => order.push("written")))
      )
      yield* pause(20)
      expect(order).toEqual([])
      const received = yield* Deferred.make<void>()
      yield* Effect.forkScoped(
        socket.run(() => Deferred.succeed(received, undefined), {
          onOpen: Effect.sync(() => order.push("open"))
        })
      )
      yield* withTimeout("the echo", Deferred.await(received))
      yield* Fiber.join(early)
      expect([...order].sort()).toEqual(["open", "written"])
    }).pipe(live)
  )

  it.scopedLive(
    "calls its handler in order, and finishes a returned Effect before the next read",
    () =>
      Effect.gen(function* () {
        const socket = yield* SecureSocket.make(
          yield* serving((peer) =>
            Effect.scoped(
              Effect.gen(function* () {
                const write = yield* peer.writer
                for (let count = 0; count < 30; count++) {
                  yield* write(Buffer.from([count]))
                  // One record each.
                  yield* pause(0)
                }
              })
            )
          )
        )
        const finished: Array<number> = []
        let running = 0
        yield* withTimeout(
          "the end",
          socket.run((chunk) =>
            Effect.gen(function* () {
              expect(++running).toBe(1)
              // Earlier items take longer.
              yield* pause(Math.max(0, 10 - (chunk[0] ?? 0)))
              finished.push(...chunk)
              running--
            })
          )
        )
        expect(finished).toEqual([...Array(30).keys()])
      }).pipe(live)
  )

  it.scopedLive("half-closes: the server answers after the client's end, and no byte is lost", () =>
    Effect.gen(function* () {
      const socket = yield* SecureSocket.make(
        yield* serving((peer) =>
          Effect.scoped(
            Effect.gen(function* () {
              const write = yield* peer.writer
              let total = 0
              yield* peer.run((chunk) => void (total += chunk.length))
              yield* pause(20)
              yield* write(`${total} bytes`)
            })
          )
        )
      )
      const received: Array<Uint8Array> = []
      const run = yield* Effect.fork(socket.run((chunk) => void received.push(chunk)))
      yield* Effect.scoped(Effect.flatMap(socket.writer, (write) => write(Buffer.alloc(20_000))))
      yield* withTimeout("the end", Fiber.join(run))
      expect(Buffer.concat(received).toString()).toBe("20000 bytes")
    }).pipe(live)
  )
})

describe("faults of the plain sockets", () => {
  const live = Effect.provide(Layer.merge(Transport.layerNet, quiet))

  it.scopedLive("a slow handler holds back the writer at the other end", () =>
    Effect.gen(function* () {
      let written = 0
      const options = yield* serving((peer) =>
        Effect.scoped(
          Effect.flatMap(peer.writer, (write) =>
            Effect.forever(
              Effect.tap(write(Buffer.alloc(65_536)), () => Effect.sync(() => (written += 65_536)))
            )
          )
        )
      )
      const socket = yield* SecureSocket.make(options)
      yield* Effect.forkScoped(socket.run(() => Effect.never))
      yield* waitUntil("some of it", () => written > 0)
      let before = -1
      yield* waitUntil("a blocked writer", () => {
        const isBlocked = written === before
        before = written
        return isBlocked
      }).pipe(Effect.delay(200))
      yield* pause(200)
      expect(written).toBeLessThan(24 * 1024 * 1024)
    }).pipe(live)
  )

  it.scopedLive("a truncated stream is an error", () =>
    Effect.gen(function* () {
      const options = yield* serving((peer) =>
        Effect.scoped(
          Effect.flatMap(peer.writer, (write) => Effect.zipRight(write("half"), Effect.die("gone")))
        )
      )
      const cut = yield* serving(() => Effect.die("at once"))
      for (const one of [options, cut]) {
        const socket = yield* SecureSocket.make(one)
        const error = yield* withTimeout("the cut", Effect.flip(socket.run(() => {})))
        expect(Socket.isSocketError(error)).toBe(true)
        expect(error).toMatchObject({ reason: "Read" })
      }
    }).pipe(live)
  )

  it.scopedLive("a write after the end fails instead of hanging", () =>
    Effect.gen(function* () {
      const socket = yield* SecureSocket.make(yield* serving(() => Effect.void))
      const write = yield* socket.writer
      yield* withTimeout(
        "the end",
        socket.run(() => {})
      )
      expect(yield* withTimeout("the write", Effect.flip(write("late")))).toMatchObject({
        reason: "Close"
      })
    }).pipe(live)
  )

  it.scopedLive(
    "a CloseEvent ends the run: normally with code 1000, else as an error on both sides",
    () =>
      Effect.gen(function* () {
        const ends: Array<string> = []
        const options = yield* serving((peer) =>
          Effect.map(
            Effect.either(peer.run(() => {})),
            (end) => void ends.push(end._tag === "Right" ? "clean" : end.left.reason)
          )
        )
        for (const code of [1000, 1011]) {
          const socket = yield* SecureSocket.make(options)
          const write = yield* socket.writer
          const run = yield* Effect.fork(Effect.either(socket.run(() => {})))
          yield* withTimeout("the close", write(new Socket.CloseEvent(code, "because")))
          const end = yield* withTimeout("the end", Fiber.join(run))
          if (code === 1000) expect(end._tag).toBe("Right")
          else
            expect(end).toMatchObject({ left: { reason: "Close", code, closeReason: "because" } })
          yield* waitUntil("the server's end", () => ends.length === (code === 1000 ? 1 : 2))
        }
        expect(ends).toEqual(["clean", "Read"])
      }).pipe(live)
  )

  it.scopedLive("a handler that throws fails only its own run", () =>
    Effect.gen(function* () {
      const options = yield* serving((peer) => {
        if (peerOf(peer) === undefined) throw new Error("unknown")
        return peer.run((chunk) => {
          throw new Error(`what is ${Buffer.from(chunk).toString()}?`)
        })
      })
      const socket = yield* SecureSocket.make(options)
      const write = yield* socket.writer
      const run = yield* Effect.fork(Effect.either(socket.run(() => {})))
      yield* write("this")
      expect(yield* withTimeout("the cut", Fiber.join(run))).toMatchObject({
        left: { reason: "Read" }
      })

      const good = yield* SecureSocket.make(yield* serving(echo))
      yield* Effect.forkScoped(
        Effect.flatMap(good.writer, (write) => Effect.zipRight(write("x"), Effect.never))
      )
      const exit = yield* withTimeout(
        "the end",
        Effect.exit(
          good.run(() => {
            throw new Error("mine")
          })
        )
      )
      expect(Exit.isFailure(exit) && [...Cause.defects(exit.cause)]).toEqual([new Error("mine")])
    }).pipe(live)
  )

  it.scopedLive("the reason is Open without a listener and for an unauthorized key", () =>
    Effect.gen(function* () {
      const options = yield* serving(echo)
      const unauthorized = { ...options, keys: dialKeys(suiteOf("IK"), { identity: mallory }) }
      const unreachable = {
        ...options,
        address: { _tag: "Tcp", host: "127.0.0.1", port: 1 }
      } as const
      for (const one of [unauthorized, unreachable]) {
        let opened = false
        const socket = yield* SecureSocket.make(one)
        const error = yield* withTimeout(
          "the refusal",
          Effect.flip(socket.run(() => {}, { onOpen: Effect.sync(() => (opened = true)) }))
        )
        expect([error.reason, opened]).toEqual(["Open", false])
      }
    }).pipe(live)
  )

  it.scopedLive("a port in use is a SocketServerError with the cause PortInUse", () =>
    Effect.gen(function* () {
      const { address } = yield* serving(echo)
      const error = yield* Effect.flip(SecureSocketServer.make({ address, keys: serverKeys }))
      expect(error).toMatchObject({
        _tag: "SocketServerError",
        reason: "Open",
        cause: { _tag: "PortInUse" }
      })
    }).pipe(live)
  )

  it.scopedLive("the server ends despite a stalled peer, an unused socket, or without a run", () =>
    Effect.gen(function* () {
      for (const runs of [true, false]) {
        const scope = yield* Scope.make()
        const server = yield* Scope.extend(
          SecureSocketServer.make({ address: anywhere, keys: serverKeys }),
          scope
        )
        const options = optionsFor(server, suiteOf("IK"))
        let written = 0
        if (runs) {
          const handler = (socket: Socket.Socket) =>
            Effect.scoped(
              Effect.flatMap(socket.writer, (write) =>
                Effect.forever(Effect.map(write(Buffer.alloc(65_536)), () => written++))
              )
            )
          yield* Effect.forkIn(server.run(handler), scope)
        }
        const socket = yield* SecureSocket.make(options)
        const run = yield* Effect.forkScoped(Effect.exit(socket.run(() => Effect.never)))
        if (runs) yield* waitUntil("the first write", () => written > 0)
        // It writes no more: the peer does not read.
        const stalledAt = yield* settled(() => written)
        yield* withTimeout("the server's end", Scope.close(scope, Exit.void))
        expect(written - stalledAt).toBeLessThanOrEqual(1)
        // The port is free, and the peer has no connection.
        const again = SecureSocketServer.make({ address: options.address, keys: serverKeys })
        expect((yield* Effect.scoped(again)).address).toMatchObject({ _tag: "TcpAddress" })
        yield* Fiber.interrupt(run)
      }
    }).pipe(live)
  )

  it.scopedLive(
    "an interrupted run interrupts its handlers, and the next run gets the next peers",
    () =>
      Effect.gen(function* () {
        const server = yield* SecureSocketServer.make({ address: anywhere, keys: serverKeys })
        const options = optionsFor(server)
        const sending = (message: string) => (socket: Socket.Socket) =>
          Effect.scoped(
            Effect.flatMap(socket.writer, (write) => Effect.zipRight(write(message), Effect.never))
          )
        for (const message of ["first", "second"]) {
          const run = yield* Effect.fork(server.run(sending(message)))
          const socket = yield* SecureSocket.make(options)
          const received = yield* Deferred.make<string>()
          const client = yield* Effect.fork(
            Effect.either(
              socket.run((chunk) => Deferred.succeed(received, Buffer.from(chunk).toString()))
            )
          )
          expect(yield* withTimeout("the text", Deferred.await(received))).toBe(message)
          yield* Fiber.interrupt(run)
          expect(yield* withTimeout("the end", Fiber.join(client))).toMatchObject({
            left: {
              reason: "Read",
              cause: { _tag: "ChannelClosed", reason: "it is shutting down" }
            }
          })
        }
      }).pipe(live)
  )

  it.scopedLive(
    "of two runs the later gets the peers, and each survives the end of the other",
    () =>
      Effect.gen(function* () {
        const server = yield* SecureSocketServer.make({ address: anywhere, keys: serverKeys })
        const sending = (message: string) => (socket: Socket.Socket) =>
          Effect.scoped(
            Effect.flatMap(socket.writer, (write) =>
              Effect.zipRight(
                write(message),
                socket.run(() => {})
              )
            )
          )
        const receive = Effect.gen(function* () {
          const socket = yield* SecureSocket.make(optionsFor(server))
          const received = yield* Deferred.make<string>()
          yield* Effect.forkScoped(
            socket.run((chunk) => Deferred.succeed(received, Buffer.from(chunk).toString()))
          )
          return yield* withTimeout("the text", Deferred.await(received))
        }).pipe(Effect.scoped)
        const starting = (message: string) =>
          Effect.zipLeft(Effect.forkScoped(server.run(sending(message))), Effect.yieldNow())
        const first = yield* starting("first")
        const second = yield* starting("second")
        expect(yield* receive).toBe("second")
        yield* Fiber.interrupt(second)
        expect(yield* receive).toBe("first")
        yield* starting("third")
        yield* Fiber.interrupt(first)
        expect(yield* receive).toBe("third")
      }).pipe(live)
  )
})
