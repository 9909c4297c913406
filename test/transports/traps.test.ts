// Mistakes that node:net, and NodeSocket and NodeSocketServer of @effect/platform-node on top of
// it, make easy. Each was observed, and each has a test here, on Net, against peers that are plain
// node:net.
//
//  1 no read back-pressure: the bytes of the peer accumulate in memory while a handler is slow
//  2 asynchronous handlers run out of order
//  3 the peer's FIN interrupts the running handler: its last bytes are lost, half-close is impossible
//  4 a cut stream looks like success, also when libuv hides the reset behind bytes not yet read
//  5 a write after the end, or to a peer that has closed, hangs for ever
//  6 a connect that is interrupted or times out leaks its socket; so does a reset during the end
//  7 release hangs: on a stalled peer, on a connection accepted late, on a handler that never ends
//    or never ran; Effect.timeout inside a finalizer waits for ever, a second interruption cuts the
//    drain short, and its timer stays
//  8 a handler that throws synchronously kills the process
//  9 no limit of connections
// 10 EADDRINUSE is an untyped error
// 11 a reset right after accept: an 'error' without a listener kills the process, or a reader waits
//    for ever
// 12 a stale Unix socket file blocks its path; a live one, or another file, must not be replaced;
//    mode and umask
// 13 names: unknown ones, and names with two addresses of which one answers
import { spawn, type ChildProcess } from "node:child_process"
import dns from "node:dns"
import { once } from "node:events"
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync
} from "node:fs"
import net from "node:net"
import { basename, dirname, join } from "node:path"
import { PassThrough } from "node:stream"
import { describe, expect, it, vi } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Scope from "effect/Scope"
import { acceptor, type Accepted, type ListenOptions } from "../../src/transports/Acceptor.ts"
import { tcp, unix } from "../../src/transports/Address.ts"
import { fromWire, type Connection } from "../../src/transports/Connection.ts"
import { connectionsBelowDescriptorLimit, limits } from "../../src/transports/limits.ts"
import * as Net from "../../src/transports/Net.ts"
import { ConnectionLost } from "../../src/transports/TransportErrors.ts"
import {
  echo,
  echoOf,
  advanceUntilDone,
  pause,
  readAll,
  readAtLeast,
  writeText,
  withTimeout,
  settled,
  nextTurn,
  waitUntil
} from "../../src/testing/steps.ts"
import { hasV6 } from "./subjects.ts"
import { scopedFolder } from "../fixtures/folder.ts"

const MiB = 1024 * 1024

const listen = (handler: (connection: Accepted) => Effect.Effect<void>, options?: ListenOptions) =>
  Net.listen(tcp("127.0.0.1", 0), handler, options).pipe(
    Effect.map(({ address }) => (address._tag === "Tcp" ? address.port : 0)),
    Logger.withMinimumLogLevel(LogLevel.None)
  )

/** Passes the result of the handler to the test. */
const seenBy = <A, E>(handler: (connection: Accepted) => Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const seen = yield* Deferred.make<A, E>()
    const port = yield* listen((connection) =>
      Effect.asVoid(Effect.intoDeferred(handler(connection), seen))
    )
    return { port, seen: withTimeout("what the handler saw", Deferred.await(seen)) }
  })

/** A peer that is plain node:net. */
const openPeer = (port: number, allowHalfOpen = false) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      net.connect({ port, host: "127.0.0.1", allowHalfOpen }).on("error", () => {})
    ),
    (socket) => Effect.sync(() => socket.destroy())
  )

const connectedPeer = (port: number, allowHalfOpen = false) =>
  Effect.tap(openPeer(port, allowHalfOpen), (socket) =>
    waitUntil("the peer to connect", () => !socket.connecting)
  )

/** A listener that is plain node:net. */
const plainServer = (onConnection: (socket: net.Socket) => void, host = "127.0.0.1") =>
  Effect.gen(function* () {
    const open = new Set<net.Socket>()
    const server = yield* Effect.acquireRelease(
      Effect.sync(() =>
        net.createServer((socket) => {
          open.add(socket.on("error", () => {}).on("close", () => open.delete(socket)))
          onConnection(socket)
        })
      ),
      (server) =>
        Effect.sync(() => {
          for (const socket of open) socket.destroy()
          server.close()
        })
    )
    yield* Effect.promise(() => once(server.listen(0, host), "listening"))
    return { port: (server.address() as net.AddressInfo).port, open }
  })

/** Another Node process. It prints a line once it is ready, and is killed with the scope. */
const otherProcess = (code: string) =>
  Effect.gen(function* () {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, ["-e", code], { stdio: ["ignore", "pipe", "inherit"] })
      ),
      kill
    )
    const [firstLine] = yield* withTimeout(
      "the other process",
      Effect.promise(() => once(child.stdout, "data"))
    )
    return { child, firstLine: String(firstLine) }
  })

/** Kills the process without any clean-up. */
const kill = (child: ChildProcess) =>
  Effect.promise(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, "exit")
    child.kill("SIGKILL")
    await exited
  })

const socketsOfThisProcess = () =>
  process
    .getActiveResourcesInfo()
    .filter((resource) => resource === "TCPSocketWrap" || resource === "TCPConnectWrap").length

const expectLost = (exit: Exit.Exit<unknown, unknown>) =>
  expect(exit).toMatchObject({ _tag: "Failure", cause: { error: { _tag: "ConnectionLost" } } })

describe("1 back-pressure", () => {
  it.scopedLive("a slow handler blocks the peer, then gets all bytes", () =>
    Effect.gen(function* () {
      const permission = yield* Deferred.make<void>()
      const { port, seen } = yield* seenBy((connection) =>
        Effect.gen(function* () {
          const first = (yield* connection.read)?.length ?? 0
          yield* Deferred.await(permission)
          return first + (yield* readAll(connection)).length
        })
      )
      const peer = yield* connectedPeer(port)
      let taken = 0
      for (let sent = 0; sent < 24 * MiB; sent += 65536)
        peer.write(Buffer.alloc(65536), () => (taken += 65536))
      peer.end()
      expect(yield* settled(() => taken)).toBeLessThan(16 * MiB)
      yield* Deferred.succeed(permission, undefined)
      expect(yield* seen).toBe(24 * MiB)
    })
  )

  it.scopedLive("a peer that does not read blocks the handler, then gets all bytes", () =>
    Effect.gen(function* () {
      let taken = 0
      const block = Buffer.alloc(65536)
      const { port, seen } = yield* seenBy((connection) =>
        Effect.repeat(
          Effect.map(connection.write(block), () => (taken += 65536)),
          { until: () => taken === 24 * MiB }
        )
      )
      const peer = (yield* connectedPeer(port)).pause()
      expect(yield* settled(() => taken)).toBeLessThan(16 * MiB)
      let received = 0
      peer.on("data", (chunk) => (received += chunk.length)).resume()
      yield* seen
      yield* waitUntil("all bytes", () => received === 24 * MiB)
    })
  )
})

describe("2 order", () => {
  it.scopedLive("a slow handler gets the bytes in order", () =>
    Effect.gen(function* () {
      const { port, seen } = yield* seenBy((connection) =>
        Effect.gen(function* () {
          let text = ""
          for (
            let chunk = yield* connection.read;
            chunk !== undefined;
            chunk = yield* connection.read
          ) {
            yield* pause(text.length % 3)
            text += Buffer.from(chunk).toString()
          }
          return text
        })
      )
      const peer = yield* connectedPeer(port)
      peer.setNoDelay(true)
      const lines = Array.from({ length: 60 }, (_, at) => `line ${at}\n`)
      for (const line of lines) {
        peer.write(line)
        yield* nextTurn
      }
      peer.end()
      expect(yield* seen).toBe(lines.join(""))
    })
  )
})

describe("3 the end of the peer", () => {
  it.scopedLive("does not interrupt the handler, which can still read and answer", () =>
    Effect.gen(function* () {
      const { port, seen } = yield* seenBy((connection) =>
        Effect.gen(function* () {
          yield* pause(30)
          const text = (yield* readAll(connection)).toString()
          yield* pause(30)
          yield* writeText(connection, `echo: ${text}`)
          return text
        })
      )
      const peer = yield* connectedPeer(port)
      let answer = ""
      peer.on("data", (chunk) => (answer += String(chunk)))
      const ended = once(peer, "end")
      peer.end("last bytes")
      expect(yield* seen).toBe("last bytes")
      yield* withTimeout(
        "the end",
        Effect.promise(() => ended)
      )
      expect(answer).toBe("echo: last bytes")
    })
  )
})

describe("4 a cut stream", () => {
  const thisLate = (
    first: (connection: Connection) => Effect.Effect<unknown, ConnectionLost>,
    millis: number
  ) =>
    Effect.gen(function* () {
      const { port, seen } = yield* seenBy((connection) =>
        Effect.exit(Effect.zipRight(first(connection), readAll(connection)))
      )
      const peer = yield* connectedPeer(port, true)
      yield* pause(5)
      peer.write(Buffer.alloc(100_000))
      yield* pause(millis)
      peer.resetAndDestroy()
      expectLost(yield* seen)
    })

  for (const millis of [0, 1, 20]) {
    it.scopedLive(`fails a waiting reader (reset after ${millis} ms)`, () =>
      thisLate(() => Effect.void, millis)
    )
    it.scopedLive(
      `is no end when the bytes before it are read late (reset after ${millis} ms)`,
      () => thisLate(() => pause(60), millis)
    )
    it.scopedLive(`fails a reader after this side's end (reset after ${millis} ms)`, () =>
      thisLate((connection) => Effect.zipRight(connection.end, pause(60)), millis)
    )
  }

  it.scopedLive("that was reset after its end is detected by isResetByPeer, and no other", () =>
    Effect.gen(function* () {
      const ended = yield* Deferred.make<Connection>()
      const leave = yield* Deferred.make<void>()
      const port = yield* listen((connection) =>
        Effect.gen(function* () {
          yield* readAll(connection)
          yield* Deferred.succeed(ended, connection)
          yield* Deferred.await(leave)
        }).pipe(Effect.orDie)
      )
      const peer = yield* connectedPeer(port, true)
      peer.end("all bytes")
      const { flow } = yield* withTimeout("the end", Deferred.await(ended))
      yield* pause(20)
      expect(flow.isResetByPeer()).toBe(false)
      peer.resetAndDestroy()
      yield* waitUntil("the reset", flow.isResetByPeer)
      yield* Deferred.succeed(leave, undefined)
    })
  )

  it.scopedLive("delivers the bytes received before the loss", () =>
    Effect.gen(function* () {
      const { port, seen } = yield* seenBy((connection) =>
        Effect.gen(function* () {
          const text = yield* readAtLeast(connection, 5)
          return {
            text,
            after: yield* Effect.exit(connection.read),
            again: yield* Effect.exit(connection.read)
          }
        })
      )
      const peer = yield* connectedPeer(port)
      peer.write("hello")
      yield* pause(20)
      peer.resetAndDestroy()
      const { text, after, again } = yield* seen
      expect(text).toBe("hello")
      expectLost(after)
      expectLost(again)
    })
  )
})

describe("5 writing", () => {
  it.scopedLive("fails after the end", () =>
    Effect.gen(function* () {
      const { port, seen } = yield* seenBy((connection) =>
        Effect.zipRight(connection.end, Effect.flip(writeText(connection, "late")))
      )
      yield* connectedPeer(port)
      expect(yield* seen).toBeInstanceOf(ConnectionLost)
    })
  )

  for (const [how, go] of Object.entries({
    "has closed": (peer: net.Socket) => peer.destroy(),
    "has reset": (peer: net.Socket) => peer.resetAndDestroy()
  }))
    it.scopedLive(`fails when the peer ${how}, also for a waiting writer`, () =>
      Effect.gen(function* () {
        let taken = 0
        const { port, seen } = yield* seenBy((connection) =>
          Effect.flip(
            Effect.forever(
              Effect.map(connection.write(Buffer.alloc(65536)), () => (taken += 65536))
            )
          )
        )
        const peer = (yield* connectedPeer(port)).pause()
        yield* settled(() => taken)
        go(peer)
        expect(yield* seen).toBeInstanceOf(ConnectionLost)
      })
    )
})

describe("6 no socket leaks", () => {
  /** A port that accepts no connections: its backlog is full, and its process is blocked. */
  const crowdedPort = Effect.gen(function* () {
    const { firstLine } = yield* otherProcess(`
      require("node:net").createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 }, function () {
        require("node:fs").writeSync(1, String(this.address().port))
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
      })`)
    const peers = yield* Effect.replicateEffect(openPeer(Number(firstLine)), 12)
    yield* settled(() => peers.filter(({ connecting }) => connecting).length)
    return Number(firstLine)
  })

  it.scopedLive("when connecting is interrupted", () =>
    Effect.gen(function* () {
      const port = yield* crowdedPort
      const before = yield* settled(socketsOfThisProcess)
      const connecting = yield* Effect.fork(Effect.scoped(Net.connect(tcp("127.0.0.1", port))))
      yield* pause(20)
      expect(socketsOfThisProcess()).toBeGreaterThan(before)
      expect(connecting.unsafePoll()).toBeNull()
      yield* withTimeout("the interruption", Fiber.interrupt(connecting))
      yield* waitUntil("the socket to close", () => socketsOfThisProcess() === before)
    })
  )

  for (const [who, region] of [
    ["anybody", Effect.interruptible],
    ["a caller that cannot be interrupted", Effect.uninterruptible]
  ] as const)
    it.scoped(`when connecting takes too long, for ${who}`, () =>
      Effect.gen(function* () {
        const port = yield* crowdedPort
        const before = yield* settled(socketsOfThisProcess)
        const connecting = yield* Effect.fork(
          region(Effect.flip(Net.connect(tcp("127.0.0.1", port))))
        )
        const failed = yield* advanceUntilDone("the deadline", connecting)
        expect(failed).toMatchObject({
          _tag: "ConnectFailed",
          reason: "timeout",
          code: "ETIMEDOUT"
        })
        yield* waitUntil("the socket to close", () => socketsOfThisProcess() === before)
      })
    )

  it.scopedLive("at any moment of the interruption", () =>
    Effect.gen(function* () {
      let arrived = 0
      const { port, open } = yield* plainServer((socket) => {
        arrived++
        socket.resume()
      })
      const before = yield* settled(socketsOfThisProcess)
      for (let moment = 0; moment < 40; moment++) {
        const fiber = yield* Effect.fork(
          Effect.scoped(Effect.zipRight(Net.connect(tcp("127.0.0.1", port)), Effect.never))
        )
        for (let step = 0; step < moment; step++)
          yield* moment % 2 === 0 ? Effect.yieldNow() : nextTurn
        yield* withTimeout("the interruption", Fiber.interrupt(fiber))
      }
      yield* waitUntil("all to end", () => open.size === 0 && socketsOfThisProcess() === before)
      expect(arrived).toBeGreaterThan(0)
    })
  )

  it.scopedLive("when a connection is reset while it ends", () =>
    Effect.gen(function* () {
      let arrived = 0
      const { port, open } = yield* plainServer((socket) => {
        arrived++
        socket.resume()
      })
      const before = yield* settled(socketsOfThisProcess)
      for (let moment = 0; moment < 5; moment++) {
        const scope = yield* Scope.make()
        const connection = yield* Scope.extend(Net.connect(tcp("127.0.0.1", port)), scope)
        yield* Effect.fork(Effect.ignore(connection.end))
        yield* Effect.repeatN(Effect.yieldNow(), moment)
        yield* withTimeout("the close", Scope.close(scope, Exit.die("the program failed")))
      }
      yield* waitUntil("all to arrive", () => arrived === 5)
      yield* waitUntil("all to end", () => open.size === 0 && socketsOfThisProcess() === before)
    })
  )
})

describe("7 release", () => {
  const opened = (handler: (connection: Accepted) => Effect.Effect<void>) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const port = yield* Scope.extend(listen(handler), scope)
      return { port, close: Scope.close(scope, Exit.void) }
    })
  let written = 0
  const flood = (connection: Connection) =>
    Effect.ignore(
      Effect.forever(Effect.map(connection.write(Buffer.alloc(65536)), () => written++))
    )

  it.scopedLive("of a listener without connections succeeds at once", () =>
    Effect.gen(function* () {
      const { port, close } = yield* opened(() => Effect.never)
      yield* withTimeout("the close", close)
      expect((yield* Effect.flip(Net.connect(tcp("127.0.0.1", port)))).code).toBe("ECONNREFUSED")
    })
  )

  const stalled: Record<string, (connection: Accepted) => Effect.Effect<void>> = {
    "a handler that never ends": () => Effect.never,
    "a handler that writes to a peer that does not read": flood,
    "the same where nothing can be interrupted": (connection) =>
      Effect.uninterruptible(flood(connection)),
    "a connection whose last bytes are not taken": (connection) =>
      Effect.raceFirst(flood(connection), connection.draining)
  }
  for (const [what, handler] of Object.entries(stalled)) {
    const writes = what !== "a handler that never ends"
    it.scoped(`is not blocked by ${what}`, () =>
      Effect.gen(function* () {
        let started = 0
        written = 0
        const { port, close } = yield* opened((connection) =>
          Effect.zipRight(
            Effect.sync(() => started++),
            handler(connection)
          )
        )
        const peer = (yield* connectedPeer(port)).pause()
        yield* waitUntil("the handler", () => started === 1)
        // It waits for the peer: it writes no more.
        const stalledAt = yield* settled(() => written)
        expect(stalledAt > 0).toBe(writes)
        yield* advanceUntilDone("the close", yield* Effect.fork(close))
        peer.resume()
        yield* waitUntil("the peer to close", () => peer.closed)
        expect(started).toBe(1)
      })
    )
  }

  it.scopedLive("resets connections that arrive meanwhile, and does not wait for them", () =>
    Effect.gen(function* () {
      let served = 0
      const { port, close } = yield* opened((connection) =>
        Effect.zipRight(
          Effect.sync(() => served++),
          connection.draining
        )
      )
      const first = yield* connectedPeer(port)
      yield* waitUntil("the first connection", () => served === 1)
      const late = yield* Effect.replicateEffect(openPeer(port), 30)
      yield* nextTurn
      yield* withTimeout("the close", close)
      for (const peer of [first, ...late]) peer.end().resume()
      yield* waitUntil("all to end", () => [first, ...late].every(({ closed }) => closed))
    })
  )

  it.scopedLive("is not cut short by a second interruption", () =>
    Effect.gen(function* () {
      const result = yield* Deferred.make<string>()
      const up = yield* Deferred.make<number>()
      const busy = (connection: Accepted) =>
        Effect.gen(function* () {
          yield* connection.draining
          yield* pause(100)
          yield* Deferred.succeed(result, "finished")
        }).pipe(Effect.onInterrupt(() => Deferred.succeed(result, "interrupted")))
      const serving = Effect.flatMap(listen(busy), (port) =>
        Effect.zipRight(Deferred.succeed(up, port), Effect.never)
      )
      const server = yield* Effect.fork(Effect.scoped(serving))
      yield* connectedPeer(yield* withTimeout("the server", Deferred.await(up)))
      yield* pause(10)
      yield* Fiber.interruptFork(server)
      yield* pause(20)
      yield* Fiber.interruptFork(server)
      yield* withTimeout("the close", Fiber.await(server))
      expect(yield* Deferred.isDone(result)).toBe(true)
      expect(yield* Deferred.await(result)).toBe("finished")
    })
  )

  it.scopedLive("resets a connection that is accepted late", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      let served = 0
      let rejected = 0
      const acceptorUnderTest = yield* Scope.extend(
        acceptor((connection) =>
          Effect.zipRight(
            Effect.sync(() => served++),
            connection.draining
          )
        ),
        scope
      )
      const arrive = Effect.sync(() =>
        acceptorUnderTest.accept({
          stream: new PassThrough(),
          peer: "peer",
          reset: () => rejected++
        })
      )
      yield* arrive
      expect([served, rejected]).toEqual([1, 0])
      yield* withTimeout("the close", Scope.close(scope, Exit.void))
      yield* arrive
      expect([served, rejected]).toEqual([1, 1])
    })
  )

  it.scopedLive("leaves no timer that keeps the process running", () =>
    Effect.gen(function* () {
      const timers = () =>
        process.getActiveResourcesInfo().filter((resource) => resource === "Timeout").length
      yield* pause(50)
      const before = timers()
      yield* Effect.scoped(
        Effect.gen(function* () {
          const port = yield* listen(echo)
          expect(yield* echoOf(yield* Net.connect(tcp("127.0.0.1", port)), "hello")).toBe("hello")
        })
      )
      // Much sooner than any deadline.
      yield* Effect.repeat(pause(2), { until: () => timers() <= before, times: 500 })
      expect(timers()).toBeLessThanOrEqual(before)
    })
  )
})

describe("8 a handler that throws synchronously", () => {
  it.scopedLive("ends only its own connection", () =>
    Effect.gen(function* () {
      let accepted = 0
      const port = yield* listen((connection) => {
        if (++accepted % 2 === 1) throw new Error("thrown by the handler")
        return echo(connection)
      })
      for (let pair = 0; pair < 5; pair++) {
        const failing = (yield* openPeer(port)).resume()
        yield* waitUntil("the failing one to end", () => failing.closed)
        expect(yield* echoOf(yield* Net.connect(tcp("127.0.0.1", port)), "alive")).toBe("alive")
      }
    })
  )
})

describe("9 the limit of connections", () => {
  it.scopedLive("holds against many connections, and evicts no authenticated one", () =>
    Effect.gen(function* () {
      let running = 0
      let most = 0
      const counted = (connection: Accepted) =>
        Effect.gen(function* () {
          most = Math.max(most, ++running)
          if ((yield* readAtLeast(connection, 5)) === "known") connection.markAuthenticated()
          yield* echo(connection)
        }).pipe(Effect.ignore, Effect.ensuring(Effect.sync(() => running--)))
      const port = yield* listen(counted, { connections: 5 })
      const known = yield* Net.connect(tcp("127.0.0.1", port))
      yield* writeText(known, "known")
      yield* pause(20)
      const peers = yield* Effect.replicateEffect(connectedPeer(port), 50)
      for (const peer of peers) peer.resume()
      yield* waitUntil(
        "the number of peers to fall",
        () => peers.filter(({ closed }) => !closed).length <= 4
      )
      expect(yield* settled(() => peers.filter(({ closed }) => !closed).length)).toBe(4)
      expect(yield* echoOf(known, "still here")).toBe("still here")
      // One more than the limit for a moment: the handler of an evicted connection ends a little
      // later.
      expect(most).toBeLessThanOrEqual(6)
      expect(running).toBe(5)
    })
  )

  it("leaves descriptors free", () => {
    expect(connectionsBelowDescriptorLimit()).toBeGreaterThanOrEqual(1)
    expect(connectionsBelowDescriptorLimit()).toBeLessThanOrEqual(limits.connections)
    const soft = /^Max open files\s+(\d+)/m.exec(
      existsSync("/proc/self/limits") ? readFileSync("/proc/self/limits", "utf8") : ""
    )
    if (soft !== null)
      expect(connectionsBelowDescriptorLimit()).toBeLessThanOrEqual(
        Number(soft[1]) - limits.reservedDescriptors
      )
  })
})

describe("10 an address in use", () => {
  it.scopedLive("is PortInUse, also when another process has it", () =>
    Effect.gen(function* () {
      const { port } = yield* plainServer(() => {})
      const failed = yield* Effect.flip(Net.listen(tcp("127.0.0.1", port), echo))
      expect(failed).toMatchObject({ _tag: "PortInUse", address: `127.0.0.1:${port}` })
    })
  )

  it.scopedLive("that is not assigned to this machine is ListenFailed", () =>
    Effect.gen(function* () {
      // TEST-NET-3 (RFC 5737): only bound to, never contacted.
      const failed = yield* Effect.flip(Net.listen(tcp("203.0.113.1", 0), echo))
      expect(failed).toMatchObject({
        _tag: "ListenFailed",
        detail: "the address is not assigned to this machine"
      })
    })
  )
})

describe("11 a reset right after accept", () => {
  it.scopedLive("leaves no handler waiting", () =>
    Effect.gen(function* () {
      let running = 0
      let accepted = 0
      const port = yield* listen((connection) =>
        Effect.gen(function* () {
          accepted++
          running++
          yield* echo(connection)
        }).pipe(Effect.ensuring(Effect.sync(() => running--)))
      )
      for (let round = 0; round < 50; round++) {
        const peer = yield* openPeer(port)
        peer.once("connect", () => peer.resetAndDestroy())
        if (round % 3 === 0) yield* nextTurn
      }
      const client = yield* Net.connect(tcp("127.0.0.1", port))
      expect(yield* echoOf(client, "alive")).toBe("alive")
      yield* waitUntil("all handlers to end", () => running === 1)
      expect(accepted).toBeGreaterThan(1)
    })
  )

  it.scopedLive("is a failure on the connecting side, and never an end", () =>
    Effect.gen(function* () {
      const { port } = yield* plainServer((socket) => socket.resetAndDestroy())
      for (let round = 0; round < 50; round++) {
        const outcome = yield* withTimeout(
          "the failure",
          Effect.exit(Effect.scoped(Effect.flatMap(Net.connect(tcp("127.0.0.1", port)), readAll)))
        )
        expect(outcome).toMatchObject({ _tag: "Failure", cause: { _tag: "Fail" } })
      }
    })
  )

  it.scopedLive("is detected when its events came before any listener", () =>
    Effect.gen(function* () {
      const stream = new PassThrough()
      stream
        .on("error", () => {})
        .destroy(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }))
      yield* pause(5)
      const connection = yield* fromWire({ stream, peer: "peer", reset: () => {} })
      expect(yield* withTimeout("the loss", Effect.flip(connection.read))).toMatchObject({
        code: "ECONNRESET"
      })
      expect(yield* withTimeout("the loss", Effect.flip(writeText(connection, "?")))).toMatchObject(
        {
          code: "ECONNRESET"
        }
      )
    })
  )

  it.scopedLive("is detected by a later read", () =>
    Effect.gen(function* () {
      const { port } = yield* plainServer((socket) => setTimeout(() => socket.resetAndDestroy(), 5))
      const connection = yield* Net.connect(tcp("127.0.0.1", port))
      yield* pause(30)
      expectLost(yield* withTimeout("the loss", Effect.exit(connection.read)))
      expectLost(yield* withTimeout("the loss", Effect.exit(writeText(connection, "more"))))
    })
  )
})

describe("12 the file of a Unix socket", () => {
  const path = Effect.map(scopedFolder, (folder) => join(folder, "s"))
  /** The socket file of a server that was killed. */
  const stale = Effect.tap(path, (path) =>
    Effect.gen(function* () {
      const { child } = yield* otherProcess(
        `require("node:net").createServer().listen(${JSON.stringify(path)}, () => console.log("up"))`
      )
      yield* kill(child)
      expect(statSync(path).isSocket()).toBe(true)
    })
  )

  it.scopedLive("is replaced after its owner was killed", () =>
    Effect.gen(function* () {
      const place = unix(yield* stale)
      expect(yield* Effect.flip(Net.connect(place))).toMatchObject({
        _tag: "ConnectFailed",
        reason: "refused"
      })
      yield* Net.listen(place, echo)
      expect(yield* echoOf(yield* Net.connect(place), "alive")).toBe("alive")
    })
  )

  it.scopedLive("is replaced by only one of several concurrent listeners", () =>
    Effect.gen(function* () {
      for (let round = 0; round < 3; round++) {
        const place = unix(yield* stale)
        const attempts = Array.from({ length: 4 }, (_, name) =>
          Net.listen(place, (connection) => writeText(connection, `${name}`).pipe(Effect.ignore))
        )
        const outcomes = yield* withTimeout(
          "all attempts",
          Effect.all(attempts.map(Effect.exit), { concurrency: "unbounded" })
        )
        expect(outcomes.filter(Exit.isSuccess)).toHaveLength(1)
        const winner = outcomes.findIndex(Exit.isSuccess)
        expect(
          (yield* withTimeout("the winner", Effect.flatMap(Net.connect(place), readAll))).toString()
        ).toBe(`${winner}`)
      }
    })
  )

  it.scopedLive("is not removed by the end of another that had the path before", () =>
    Effect.gen(function* () {
      const place = unix(yield* path)
      const file = place._tag === "Unix" ? place.path : ""
      const first = yield* Scope.make()
      yield* Scope.extend(Net.listen(place, echo), first)
      unlinkSync(file)
      yield* Net.listen(place, echo)
      yield* Scope.close(first, Exit.void)
      expect(readdirSync(dirname(file))).toEqual([basename(file)])
      expect(yield* echoOf(yield* Net.connect(place), "the second")).toBe("the second")
    })
  )

  it.scopedLive("is removed at the end, and a missing one does not matter", () =>
    Effect.gen(function* () {
      const place = unix(yield* path)
      const file = place._tag === "Unix" ? place.path : ""
      for (const prepare of [() => {}, () => unlinkSync(file)]) {
        const scope = yield* Scope.make()
        yield* Scope.extend(Net.listen(place, echo), scope)
        prepare()
        yield* Scope.close(scope, Exit.void)
        expect(readdirSync(dirname(file))).toEqual([])
      }
    })
  )

  it.scopedLive("is not replaced while its owner runs", () =>
    Effect.gen(function* () {
      const place = unix(yield* path)
      yield* Net.listen(place, echo)
      expect(yield* Effect.flip(Net.listen(place, echo))).toMatchObject({
        _tag: "PortInUse",
        address: place._tag === "Unix" ? place.path : ""
      })
      expect(yield* echoOf(yield* Net.connect(place), "still mine")).toBe("still mine")
    })
  )

  it.scopedLive("is not replaced while its owner is too busy to answer", () =>
    Effect.gen(function* () {
      const at = yield* path
      yield* otherProcess(`require("node:net").createServer().listen(${JSON.stringify(at)}, () => {
        require("node:fs").writeSync(1, "up")
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
      })`)
      expect(
        yield* withTimeout("the answer", Effect.flip(Net.listen(unix(at), echo)))
      ).toMatchObject({
        _tag: "PortInUse"
      })
      expect(existsSync(at)).toBe(true)
    })
  )

  it.scopedLive("is reached at its canonical path, whatever a link before .. leads to", () =>
    Effect.gen(function* () {
      const folder = dirname(yield* path)
      mkdirSync(join(folder, "elsewhere/deep"), { recursive: true })
      symlinkSync("elsewhere/deep", join(folder, "link"))
      // For the kernel the path leads to the other folder.
      const given = `${folder}/link/../s.sock`
      const answers = (text: string) => (accepted: Accepted) =>
        Effect.orDie(accepted.write(Buffer.from(text)))
      yield* Net.listen(unix(`${folder}/elsewhere/s.sock`), answers("wrong"))
      yield* Net.listen({ _tag: "Unix", path: given }, answers("right"))
      expect(existsSync(join(folder, "s.sock"))).toBe(true)
      for (const address of [unix(given), { _tag: "Unix", path: given } as const]) {
        const connection = yield* Net.connect(address)
        expect(String(yield* connection.read)).toBe("right")
      }
    })
  )

  const inTheWay: Record<string, (path: string) => void> = {
    "a regular file": (path) => writeFileSync(path, "precious"),
    "a folder": (path) => mkdirSync(path),
    "a link that leads nowhere": (path) => symlinkSync("nowhere", path)
  }
  for (const [what, make] of Object.entries(inTheWay))
    it.scopedLive(`does not replace ${what}`, () =>
      Effect.gen(function* () {
        const at = yield* path
        make(at)
        const failed = yield* Effect.flip(Net.listen(unix(at), echo))
        expect(failed).toMatchObject({
          _tag: "ListenFailed",
          address: at,
          detail: expect.stringContaining("left unchanged")
        })
        if (what === "a regular file") expect(readFileSync(at, "utf8")).toBe("precious")
        expect(statSync(at, { throwIfNoEntry: false })?.isSocket()).not.toBe(true)
      })
    )

  it.scopedLive("has mode 0600 with any umask, which does not change", () =>
    Effect.gen(function* () {
      const at = yield* path
      yield* Effect.acquireRelease(
        Effect.sync(() => process.umask(0)),
        (before) => Effect.sync(() => process.umask(before))
      )
      yield* Net.listen(unix(at), echo)
      expect(statSync(at).mode & 0o777).toBe(0o600)
      expect(process.umask()).toBe(0)
    })
  )

  it.scopedLive("is removed when the listener closes", () =>
    Effect.gen(function* () {
      const at = yield* path
      yield* Effect.scoped(
        Effect.tap(Net.listen(unix(at), echo), () =>
          Effect.sync(() => expect(existsSync(at)).toBe(true))
        )
      )
      expect(existsSync(at)).toBe(false)
    })
  )

  it.scopedLive("needs a folder that exists", () =>
    Effect.gen(function* () {
      const failed = yield* Effect.flip(Net.listen(unix(join(yield* path, "deeper")), echo))
      expect(failed).toMatchObject({ _tag: "ListenFailed", detail: "its folder does not exist" })
    })
  )
})

describe("13 names", () => {
  it.scopedLive("that do not resolve fail with a reason of their own", () =>
    Effect.gen(function* () {
      const failed = yield* Effect.flip(Net.connect(tcp("nonexistent.invalid", 1)))
      expect(failed).toMatchObject({
        _tag: "ConnectFailed",
        // The second one on a machine without a name server.
        reason: expect.stringMatching(/^no (such name|name server)$/),
        address: "nonexistent.invalid:1"
      })
    })
  )

  const reaches = (
    name: string,
    host: string,
    known: Effect.Effect<unknown, never, Scope.Scope> = Effect.void
  ) =>
    Effect.gen(function* () {
      const { port } = yield* plainServer((socket) => socket.end("reached"), host)
      yield* known
      const connection = yield* withTimeout("the connection", Net.connect(tcp(name, port)))
      expect((yield* withTimeout("the greeting", readAll(connection))).toString()).toBe("reached")
    })

  for (const host of ["127.0.0.1", "::1"])
    it.scopedLive(`localhost reaches a server on ${host} only`, (ctx) =>
      Effect.gen(function* () {
        const known = yield* Effect.promise(() => dns.promises.lookup("localhost", { all: true }))
        if (!known.some(({ address }) => address === host))
          return ctx.skip(`here localhost is not ${host}`)
        yield* reaches("localhost", host)
      })
    )

  type Answer = (error: null, addresses: ReadonlyArray<dns.LookupAddress>) => void
  /** Resolves every name to these addresses. */
  const names = (...addresses: ReadonlyArray<string>) => {
    const answer = addresses.map((address) => ({ address, family: net.isIPv6(address) ? 6 : 4 }))
    const lookup = (_name: string, _options: object, done: Answer) =>
      process.nextTick(done, null, answer)
    return Effect.acquireRelease(
      Effect.sync(() => vi.spyOn(dns, "lookup").mockImplementation(lookup as typeof dns.lookup)),
      (spy) => Effect.sync(() => spy.mockRestore())
    )
  }
  for (const host of ["127.0.0.1", "::1"])
    for (const other of ["127.0.0.1", "::1"].filter((address) => address !== host)) {
      const known = it.scopedLive.skipIf(!hasV6)
      known(`${host} is reached when it is the first address of a name`, () =>
        reaches("two.test", host, names(host, other))
      )
      known(`${host} is reached when it is the second address of a name`, () =>
        reaches("two.test", host, names(other, host))
      )
    }
})
