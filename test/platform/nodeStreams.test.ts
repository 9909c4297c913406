// Node.js streams over the channel: their ends, errors and memory use.
import { createHash, randomFillSync } from "node:crypto"
import { once } from "node:events"
import { createConnection, createServer, type AddressInfo, type Socket } from "node:net"
import { Readable, Transform, Writable } from "node:stream"
import { text } from "node:stream/consumers"
import { pipeline } from "node:stream/promises"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { afterEach, describe, expect, it } from "vitest"
import {
  connect,
  KeyPair,
  listen,
  loadIdentity,
  Secret,
  SealwireError,
  type ListenOptions,
  type SecureDuplex
} from "../../src/node.ts"
import * as SecureSocketServer from "../../src/platform/SecureSocketServer.ts"
import { Transport } from "../../src/transports/index.ts"
import {
  alice as knownAlice,
  collectGarbage,
  server as knownServer,
  serverKeys
} from "../channel/rig.ts"
import { runs } from "../fixtures/sample.ts"
import { anywhere } from "./rig.ts"

const server = KeyPair.generate()
const alice = KeyPair.generate()
const mallory = KeyPair.generate()
const peers = [{ name: "alice", publicKey: alice.publicKey }]

const closing: Array<() => unknown> = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

type Serve = Parameters<typeof listen>[1]

/** Starts a server with this handler; returns its port and a function that connects. */
const startServer = async (serve: Serve, options: Partial<ListenOptions> = {}) => {
  const { address, close } = await listen(
    { address: "127.0.0.1:0", identity: server, peers, ...options } as ListenOptions,
    serve
  )
  closing.push(close)
  const port = address._tag === "Tcp" ? address.port : 0
  return { port, connectClient: (at = port) => connectTo(at) }
}

const connectTo = async (port: number) => {
  const stream = await connect({
    address: `127.0.0.1:${port}`,
    identity: alice,
    serverKey: server.publicKey
  })
  closing.push(() => stream.destroy())
  return stream
}

const codeOf = (failing: Promise<unknown>) =>
  failing.then(
    () => "none",
    (error: SealwireError) => error.code
  )

const echo: Serve = (stream) => pipeline(stream, stream)

/** A promise with its resolve function. */
const deferred = <A>() => {
  let resolve: (value: A) => void = () => {}
  const promise = new Promise<A>((resume) => (resolve = resume))
  return { promise, resolve }
}

/** Returns the end events of a stream: "end", or the code of its error. */
const endOf = async (stream: SecureDuplex) => {
  const events: Array<string> = []
  stream
    .on("end", () => events.push("end"))
    .on("error", (error: SealwireError) => events.push(error.code))
  if (!stream.closed) await new Promise((resume) => stream.on("close", resume))
  return events
}

/** Waits until the value is stable. */
const stableValue = async (figure: () => number) => {
  for (let before = -1, calm = 0; calm < 10;) {
    calm = figure() === before ? calm + 1 : 0
    before = figure()
    await new Promise((resume) => setTimeout(resume, 20))
  }
  return figure()
}

describe("a stream", () => {
  // More than the memory that it may use.
  const megabytes = runs(56, 100)
  it(`echoes ${megabytes} MB from reused memory with little memory of its own`, async () => {
    const { connectClient } = await startServer(echo)
    const stream = await connectClient()
    const total = megabytes * 1024 * 1024
    const checkEvery = 4 * 1024 * 1024
    const [sent, received] = [createHash("sha256"), createHash("sha256")]
    const before = process.memoryUsage().arrayBuffers
    let peak = 0
    let bytes = 0
    const reused = Buffer.alloc(300_000)
    const sending = async () => {
      for (let written = 0; written < total;) {
        const chunk = randomFillSync(reused).subarray(
          0,
          Math.min(1 + ((written * 7919) % reused.length), total - written)
        )
        written += chunk.length
        sent.update(chunk)
        await new Promise<void>((resolve, reject) =>
          stream.write(chunk, (error) => (error ? reject(error) : resolve()))
        )
      }
      stream.end()
    }
    const receiving = pipeline(
      stream,
      new Writable({
        write: (chunk: Buffer, _, done) => {
          received.update(chunk)
          bytes += chunk.length
          // The memory in use, without garbage.
          if (Math.floor(bytes / checkEvery) !== Math.floor((bytes - chunk.length) / checkEvery)) {
            collectGarbage()
            peak = Math.max(peak, process.memoryUsage().arrayBuffers - before)
          }
          done()
        }
      })
    )
    await Promise.all([sending(), receiving])
    expect(bytes).toBe(total)
    expect(received.digest("hex")).toBe(sent.digest("hex"))
    expect(peak).toBeLessThan(40 * 1024 * 1024)
  }, 60_000)

  it("works with pipeline in both directions with many small writes", async () => {
    const { connectClient } = await startServer((stream) =>
      pipeline(
        stream,
        new Transform({
          transform: (chunk: Buffer, _, done) => done(null, chunk.toString().toUpperCase())
        }),
        stream
      )
    )
    const stream = await connectClient()
    const words = Array.from({ length: 20_000 }, (_, index) => `word ${index}\n`)
    const [, echoed] = await Promise.all([pipeline(Readable.from(words), stream), text(stream)])
    expect(echoed).toBe(words.join("").toUpperCase())
    expect(stream.closed || (await once(stream, "close"), true)).toBe(true)
  })

  it("applies back-pressure in both directions", async () => {
    const arrived = deferred<SecureDuplex>()
    const { connectClient } = await startServer((stream) => arrived.resolve(stream))
    const stream = await connectClient()
    let taken = 0
    const chunk = Buffer.alloc(64 * 1024)
    const more = () =>
      void stream.write(chunk, (error) => (error ? undefined : ((taken += chunk.length), more())))
    more()
    // The buffers of both kernels, and a little of this library.
    expect(await stableValue(() => taken)).toBeLessThan(24 * 1024 * 1024)
    expect(stream.writableNeedDrain).toBe(true)
    let waiting: Error | undefined
    stream.write(chunk, (error) => (waiting = error ?? undefined))
    stream.destroy()
    await once(stream, "close")
    expect(waiting).toBeInstanceOf(Error)
    const far = await arrived.promise
    far.destroy()
  })

  it("is half-closed by end(): the answer follows", async () => {
    const { connectClient } = await startServer((stream) => {
      let question = ""
      stream.on("data", (bytes: Buffer) => (question += bytes.toString()))
      stream.on("end", () => stream.end(`${question}? yes`))
    })
    const stream = await connectClient()
    stream.end("really")
    expect(await text(stream)).toBe("really? yes")
    expect(await endOf(stream)).toEqual([])
  })

  it("ends with the peer's end if allowHalfOpen is false", async () => {
    const { connectClient } = await startServer(
      (stream) => {
        stream.resume()
        stream.write("hello")
      },
      { allowHalfOpen: false }
    )
    const stream = await connectClient()
    stream.end()
    expect(await text(stream)).toBe("hello")
  })

  it("has the identity of its peer", async () => {
    const seen: Array<string> = []
    const { connectClient } = await startServer((stream, { name, publicKey }) => {
      seen.push(name, Buffer.from(publicKey ?? []).toString("hex"))
      stream.resume().end()
    })
    const stream = await connectClient()
    expect(Buffer.from(stream.peer.publicKey ?? [])).toEqual(Buffer.from(server.publicKey))
    stream.resume().end()
    expect(await endOf(stream)).toEqual(["end"])
    expect(seen).toEqual(["alice", Buffer.from(alice.publicKey).toString("hex")])
  })

  it("works with a shared key alone, and as a second factor", async () => {
    const sharedKey = Secret.random(32)
    const both = { identity: server, peers, sharedKey }
    for (const [options, mine] of [
      [{ sharedKey, identity: undefined, peers: undefined }, { sharedKey }],
      [both, { identity: alice, serverKey: server.publicKey, sharedKey }]
    ] as const) {
      const { port } = await startServer(echo, options as Partial<ListenOptions>)
      const stream = await connect({ address: `:${port}`, ...mine })
      stream.end("to and fro")
      expect(await text(stream)).toBe("to and fro")
      expect(
        await codeOf(connect({ address: `:${port}`, ...mine, sharedKey: Secret.random(32) }))
      ).toBe("HandshakeFailed")
    }
  })
})

it("a stream interoperates with a SecureSocket", async () => {
  const scope = Effect.runSync(Scope.make())
  closing.push(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  const { address } = await Effect.runPromise(
    Effect.gen(function* () {
      const server = yield* SecureSocketServer.make({ address: anywhere, keys: serverKeys })
      yield* Effect.forkScoped(
        server.run((socket) =>
          Effect.scoped(
            Effect.flatMap(socket.writer, (write) => socket.run((chunk) => write(chunk)))
          )
        )
      )
      return server
    }).pipe(Scope.extend(scope), Effect.provide(Transport.layerNet))
  )
  const port = address._tag === "TcpAddress" ? address.port : 0
  const stream = await connect({
    address: `:${port}`,
    identity: knownAlice,
    serverKey: knownServer.publicKey
  })
  stream.end("to a socket and back")
  expect(await text(stream)).toBe("to a socket and back")
})

describe("a truncated stream never ends normally", () => {
  it("destroy() is a reset: an error and no end", async () => {
    for (const which of ["client", "server"] as const) {
      const arrived = deferred<SecureDuplex>()
      const { connectClient } = await startServer((stream) => arrived.resolve(stream))
      const near = await connectClient()
      const far = await arrived.promise
      for (const stream of [near, far]) stream.resume().write("something")
      const [one, other] = which === "client" ? [near, far] : [far, near]
      const ends = endOf(other)
      let how: unknown
      other.on("error", ({ cause }: SealwireError) => (how = cause))
      one.destroy()
      expect(await ends).toEqual(["StreamTruncated"])
      expect(how).toMatchObject({ code: "ECONNRESET" })
      expect(
        await codeOf(
          new Promise<number>((resolve, reject) =>
            other.write("more", (error) => (error ? reject(error) : resolve(0)))
          )
        )
      ).toBe("ERR_STREAM_DESTROYED")
    }
  })

  it("a cut connection is an error on both sides", async () => {
    for (const how of ["FIN", "reset"] as const) {
      const far = deferred<ReturnType<typeof endOf>>()
      const { port } = await startServer((stream) => {
        far.resolve(endOf(stream))
        stream.pipe(stream)
      })
      const wires: Array<Socket> = []
      const between = createServer({ allowHalfOpen: true }, (near) => {
        const onward = createConnection(port, "127.0.0.1")
        wires.push(near, onward)
        for (const wire of [near, onward]) wire.on("error", () => {})
        near.on("data", (bytes) => onward.write(bytes))
        onward.on("data", (bytes) => near.write(bytes))
      }).listen(0, "127.0.0.1")
      await once(between, "listening")
      closing.push(() => between.close())
      const stream = await connectTo((between.address() as AddressInfo).port)
      stream.write("half a sentence")
      await once(stream, "data")
      const ends = endOf(stream)
      const failed = codeOf(text(stream))
      for (const wire of wires)
        if (how === "FIN") wire.end()
        else wire.resetAndDestroy()
      expect(await ends).toEqual(["StreamTruncated"])
      expect(await failed).toBe("StreamTruncated")
      expect(await far.promise).toEqual(["StreamTruncated"])
      for (const wire of wires) wire.destroy()
    }
  })

  it("pipeline fails when its peer has disconnected", async () => {
    const { connectClient } = await startServer((stream) => stream.destroy())
    const stream = await connectClient()
    const endless = new Readable({
      read() {
        this.push(Buffer.alloc(1000))
      }
    })
    expect(await codeOf(pipeline(endless, stream))).toBe("StreamTruncated")
  })

  it("a handler that throws or rejects ends only its own stream", async () => {
    let count = 0
    const { connectClient } = await startServer((stream) => {
      if (++count === 1) throw new Error("on purpose")
      // A value that cannot be converted to text.
      if (count === 2) throw Object.create(null)
      return count === 3 ? Promise.reject(new Error("on purpose")) : pipeline(stream, stream)
    })
    for (let time = 0; time < 3; time++) {
      const stream = await connectClient()
      stream.resume()
      expect(await endOf(stream)).toEqual(["StreamTruncated"])
    }
    const stream = await connectClient()
    stream.end("still here")
    expect(await text(stream)).toBe("still here")
  })
})

describe("an error has the code of its tag", () => {
  it("without a listener, an address or a key, and with the wrong key", async () => {
    const refused: Array<string> = []
    const { port } = await startServer(echo, { onRefused: ({ message }) => refused.push(message) })
    const keys = { identity: alice, serverKey: server.publicKey }
    const at = { address: `127.0.0.1:${port}` }
    expect(await codeOf(connect({ address: "127.0.0.1:1", ...keys }))).toBe("ConnectFailed")
    expect(await codeOf(connect({ address: "nowhere", ...keys }))).toBe("AddressInvalid")
    expect(await codeOf(listen({ ...at, sharedKey: Secret.random(32) }, echo))).toBe("PortInUse")
    expect(await codeOf(loadIdentity("/nonexistent/key"))).toBe("KeyFileMissing")
    expect(await codeOf(connect({ ...at, ...keys, serverKey: mallory.publicKey }))).toBe(
      "HandshakeFailed"
    )
    expect(await codeOf(connect({ ...at, ...keys, identity: mallory }))).toBe("HandshakeFailed")
    expect(await codeOf(connect({ ...at, ...keys, application: "other/1" }))).toBe(
      "HandshakeFailed"
    )
    expect(refused.length).toBe(3)
    expect(refused.some((line) => line.includes("its key is not among the peers"))).toBe(true)
    const error = await connect({ address: "127.0.0.1:1", ...keys }).catch(
      (error: unknown) => error
    )
    expect(error).toBeInstanceOf(SealwireError)
    expect((error as SealwireError).message).toContain("cannot connect to 127.0.0.1:1")
  })

  it("and a call without keys names the missing option", async () => {
    const [dial, serve] = [connect, listen] as unknown as ReadonlyArray<
      (options: object, serve?: unknown) => Promise<unknown>
    >
    const message = async (attempt: Promise<unknown> | undefined) =>
      attempt?.then(
        () => "none",
        (error: unknown) => String(error)
      )
    const expected = "TypeError: connect needs a sharedKey, or an identity and the serverKey"
    expect(await message(dial?.({ address: ":1" }))).toBe(expected)
    expect(await message(dial?.({ address: ":1", identity: alice }))).toBe(expected)
    expect(await message(serve?.({ address: ":0" }, echo))).toBe(
      "TypeError: listen needs a sharedKey, or an identity and peers"
    )
    expect(await message(serve?.({ address: ":0", identity: alice }, echo))).toContain("and peers")
  })

  it("and an invalid limit or a name that is too long fails at once", async () => {
    const sharedKey = Secret.random(32)
    const errorOf = (attempt: Promise<unknown>) => attempt.then(() => "none", String)
    for (const connections of [Number.NaN, 0, -1, 1.5, Number.POSITIVE_INFINITY])
      expect(await errorOf(listen({ address: ":0", sharedKey, connections }, echo))).toBe(
        "RangeError: listen: connections must be 1 or more"
      )
    expect(
      await errorOf(connect({ address: ":1", sharedKey, application: "x".repeat(65_536) }))
    ).toBe("RangeError: connect: the application must have at most 65535 bytes")
    expect(await errorOf(connect({ address: 5 as unknown as string, sharedKey }))).toBe(
      "TypeError: connect: the address must be a string or an Address"
    )
  })

  it("and a key of a wrong length fails at once", async () => {
    const at = { address: "127.0.0.1:0" }
    const short = Secret.random(16)
    const cut = new Uint8Array(31)
    const errorOf = (attempt: Promise<unknown>) => attempt.then(() => "none", String)
    const noSecret = "the sharedKey must be a Secret of 32 bytes"
    expect(await errorOf(listen({ ...at, sharedKey: short }, echo))).toBe(
      `TypeError: listen: ${noSecret}`
    )
    expect(await errorOf(listen({ ...at, identity: server, peers, sharedKey: short }, echo))).toBe(
      `TypeError: listen: ${noSecret}`
    )
    expect(await errorOf(connect({ ...at, sharedKey: short }))).toBe(
      `TypeError: connect: ${noSecret}`
    )
    expect(
      await errorOf(
        listen(
          { ...at, identity: server, peers: [...peers, { name: "bob", publicKey: cut }] },
          echo
        )
      )
    ).toBe("TypeError: listen: each public key must have 32 bytes; check peers")
    expect(await errorOf(connect({ ...at, identity: alice, serverKey: cut }))).toBe(
      "TypeError: connect: each public key must have 32 bytes; check the serverKey"
    )
  })

  it("and the codes are an exhaustive list", () => {
    // It compiles only if the list is complete and has no other code.
    const known: Record<SealwireError["code"], true> = {
      AddressInvalid: true,
      ChannelClosed: true,
      ChannelRefused: true,
      ChannelTampered: true,
      ConnectFailed: true,
      HandshakeFailed: true,
      KeyFileMissing: true,
      KeyReferenceInvalid: true,
      KeyRejected: true,
      KeyUnavailable: true,
      ListenFailed: true,
      NotOffered: true,
      PeerDead: true,
      PortInUse: true,
      StreamTruncated: true
    }
    expect(Object.keys(known).length).toBeGreaterThan(0)
  })

  it("and an aborted attempt rejects with the signal's reason", async () => {
    const silent = createServer(() => {}).listen(0, "127.0.0.1")
    await once(silent, "listening")
    closing.push(() => silent.close())
    const giveUp = new AbortController()
    const { port } = silent.address() as AddressInfo
    const attempt = connect({
      address: `:${port}`,
      sharedKey: Secret.random(32),
      signal: giveUp.signal
    })
    await once(silent, "connection")
    giveUp.abort(new Error("not today"))
    await expect(attempt).rejects.toThrow("not today")
  })
})

it("close() accepts no connection and waits for the open ones", async () => {
  const { address, close } = await listen({ address: "127.0.0.1:0", identity: server, peers }, echo)
  const port = address._tag === "Tcp" ? address.port : 0
  const stream = await connectTo(port)
  let over = false
  const closed = close().then(() => (over = true))
  stream.write("one more")
  await once(stream, "data")
  expect(over).toBe(false)
  expect(["ConnectFailed", "HandshakeFailed"]).toContain(await codeOf(connectTo(port)))
  stream.resume().end()
  await closed
  expect(await endOf(stream)).not.toContain("StreamTruncated")
})

it("close() called twice ends once, and both calls wait", async () => {
  const arrived = deferred<SecureDuplex>()
  const { address, close } = await listen(
    { address: "127.0.0.1:0", identity: server, peers },
    (stream) => arrived.resolve(stream)
  )
  const stream = await connectTo(address._tag === "Tcp" ? address.port : 0)
  const order: Array<string> = []
  const both = Promise.all([
    close().then(() => order.push("first")),
    close().then(() => order.push("second"))
  ])
  const far = await arrived.promise
  far.resume().end()
  await once(stream.resume(), "end")
  expect(order).toEqual([])
  stream.end()
  await both
  expect(order).toEqual(["first", "second"])
})
