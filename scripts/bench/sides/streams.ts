// Every job over Node streams, for all contestants that provide one.
import { once } from "node:events"
import type { Duplex } from "node:stream"
import { openHalf } from "./halfOpen.ts"
import {
  blockBytes,
  crowd,
  messageBytes,
  percentiles,
  seconds,
  type Side,
  type Work
} from "../Side.ts"

/** The authenticated streams of a contestant. */
export interface Streams {
  /**
   * Connections among which `bulk` divides its bytes, and which stay open between its runs. Default:
   * one, which is new for each run.
   */
  readonly flows?: number
  /** Calls back with each stream after its peer is authenticated; returns the port. */
  readonly listen: (newcomer: (stream: Duplex) => void) => Promise<number>
  /** Resolves when this side is authenticated and ready. */
  readonly connect: (port: number) => Promise<Duplex>
  /** The same with a key that the server refuses. Resolves before the server has decided. */
  readonly connectStranger?: (port: number) => Promise<Duplex>
}

const drained = (stream: Duplex): Promise<unknown> | undefined =>
  stream.writableNeedDrain ? once(stream, "drain") : undefined

const done = Buffer.from([1])

/** Does the work and closes the stream; returns the seconds of the work alone. */
const timed = async (stream: Duplex, work: () => Promise<unknown>) => {
  const took = await seconds(work)
  // Some contestants report the close as an error.
  stream.on("error", () => {}).destroy()
  return took
}

/** The server counts `amount` of something in the received bytes, then answers. */
const counted = (listen: Streams["listen"], count: (chunk: Buffer) => number, amount: number) =>
  listen((stream) => {
    let left = amount
    stream.on("error", () => {})
    stream.on("data", (chunk: Buffer) => {
      left -= count(chunk)
      if (left > 0) return
      left += amount
      stream.write(done)
    })
  })

const newlines = (chunk: Buffer): number => {
  let found = 0
  for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) found++
  return found
}

const bulk = ({ listen, connect, flows }: Streams): Work => {
  const streams: Array<Duplex> = []
  const share = (amount: number) => amount / (flows ?? 1)
  const write = async (stream: Duplex, amount: number) => {
    const block = Buffer.alloc(Math.min(blockBytes, amount), 1)
    const answer = once(stream, "data")
    for (let left = amount; left > 0; left -= block.length) {
      stream.write(block)
      const wait = drained(stream)
      if (wait !== undefined) await wait
    }
    await answer
  }
  return {
    serve: (amount) => counted(listen, ({ length }) => length, share(amount)),
    run: async (port, amount) => {
      while (streams.length < (flows ?? 1)) streams.push(await connect(port))
      const took = await seconds(() =>
        Promise.all(streams.map((stream) => write(stream, share(amount))))
      )
      // Some contestants report the close as an error.
      if (flows === undefined)
        for (const stream of streams.splice(0)) stream.on("error", () => {}).destroy()
      return { seconds: took }
    }
  }
}

/** The server closes each authenticated connection; the client waits for that. */
const handshakes = ({ listen, connect }: Streams): Work => ({
  serve: () =>
    listen((stream) => {
      stream.on("error", () => {})
      stream.resume().end()
    }),
  run: async (port, amount) => ({
    seconds: await seconds(() =>
      crowd(amount, async () => {
        const stream = await connect(port)
        if (stream.destroyed) return
        // Awaits the close in any form: simultaneous ends may surface as an error.
        const closed = new Promise((resolve) => stream.on("error", () => {}).once("close", resolve))
        stream.once("end", () => stream.end()).resume()
        await closed
      })
    )
  })
})

/** Connects with a key that the server refuses, and waits for the end of the connection. */
const refusals = (
  listen: Streams["listen"],
  connect: NonNullable<Streams["connectStranger"]>
): Work => ({
  serve: () => listen((stream) => void stream.on("error", () => {}).destroy()),
  run: async (port, amount) => ({
    seconds: await seconds(() =>
      crowd(amount, async () => {
        const stream = await connect(port)
        if (stream.destroyed) return
        await new Promise((resolve) =>
          stream
            .on("error", () => {})
            .once("close", resolve)
            .resume()
        )
      })
    )
  })
})

/** Connects and closes, one at a time, while others keep connections open that send nothing. */
const halfOpen = ({ listen, connect }: Streams): Work => ({
  serve: handshakes({ listen, connect }).serve,
  run: async (port, amount) => {
    const crowd = await openHalf(port)
    const times: Array<number> = []
    for (let count = 0; count < amount; count++) {
      const start = performance.now()
      const stream = await connect(port)
      times.push((performance.now() - start) * 1000)
      stream.on("error", () => {}).destroy()
    }
    const { p50, p95 } = percentiles(times)
    return { p50, p95, halfOpen: crowd.stop() }
  }
})

const roundTrips = ({ listen, connect }: Streams): Work => ({
  serve: () =>
    listen((stream) => {
      let have = 0
      stream.on("error", () => {})
      stream.on("data", (chunk: Buffer) => {
        have += chunk.length
        if (have < messageBytes) return
        have -= messageBytes
        stream.write(Buffer.alloc(messageBytes, 2))
      })
    }),
  run: async (port, amount) => {
    const stream = await connect(port)
    const request = Buffer.alloc(messageBytes, 1)
    const times: Array<number> = []
    let have = 0
    let answered = () => {}
    stream.on("data", (chunk: Buffer) => {
      have += chunk.length
      if (have < messageBytes) return
      have -= messageBytes
      answered()
    })
    for (let count = 0; count < amount; count++) {
      const start = performance.now()
      await new Promise<void>((resolve) => {
        answered = resolve
        stream.write(request)
      })
      times.push((performance.now() - start) * 1000)
    }
    stream.destroy()
    return percentiles(times)
  }
})

/** Separated by newlines, 1,000 per turn; one receipt at the end. */
const messages = ({ listen, connect }: Streams): Work => ({
  serve: (amount) => counted(listen, newlines, amount),
  run: async (port, amount) => {
    const stream = await connect(port)
    const message = Buffer.from(`${"m".repeat(messageBytes)}\n`)
    const took = await timed(stream, async () => {
      const answer = once(stream, "data")
      for (let sent = 0; sent < amount;) {
        // streamx, on which secret-stream is built, has no cork.
        stream.cork?.()
        for (let turn = 0; turn < 1000; turn++, sent++) stream.write(message)
        stream.uncork?.()
        const wait = drained(stream)
        if (wait !== undefined) await wait
      }
      await answer
    })
    return { seconds: took }
  }
})

const idle = ({ listen, connect }: Streams): Work => ({
  serve: () =>
    listen((stream) => {
      stream.on("error", () => {})
      stream.on("data", () => {})
    }),
  run: async (port, amount) => {
    await crowd(amount, () => connect(port))
    return {}
  }
})

/** Connects, sends one byte, receives one and closes; the time of each. */
const firstBytes = ({ listen, connect }: Streams): Work => ({
  serve: () =>
    listen((stream) => {
      stream.on("error", () => {})
      stream.on("data", (chunk: Buffer) => stream.write(chunk))
      stream.on("end", () => stream.end())
    }),
  run: async (port, amount) => {
    const times: Array<number> = []
    // The first round warms up the programs.
    for (let count = -1; count < amount; count++) {
      const start = performance.now()
      const stream = await connect(port)
      const answer = once(stream, "data")
      stream.write(done)
      await answer
      if (count >= 0) times.push((performance.now() - start) * 1000)
      stream.on("error", () => {}).end()
      // Spaced out, as for programs that connect now and then.
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    return percentiles(times)
  }
})

export const overStreams = (streams: Streams): StreamSide => ({
  firstBytes: firstBytes(streams),
  bulk: bulk(streams),
  handshakes: handshakes(streams),
  roundTrips: roundTrips(streams),
  messages: messages(streams),
  idle: idle(streams),
  halfOpen: halfOpen(streams),
  ...(streams.connectStranger === undefined
    ? {}
    : { refusals: refusals(streams.listen, streams.connectStranger) })
})

type StreamSide = Required<Omit<Side, "refusals">> & Pick<Side, "refusals">
