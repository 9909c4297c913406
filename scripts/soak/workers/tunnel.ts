// Connections through a tunnel whose near end runs for the whole run.
import { createHash } from "node:crypto"
import net from "node:net"
import { shown, type Command } from "../Command.ts"
import type { Random } from "../Random.ts"
import type { Site } from "../Site.ts"
import { greeting } from "../Target.ts"

/** Time after which a connection that does not end counts as stuck. */
const deadline = 240_000

/** Starts the near end; returns it and its port. */
export const startTunnel = async (site: Site): Promise<{ command: Command; port: number }> => {
  let listen: string | undefined
  const command = site.spawn(
    "tunnel",
    ["tunnel", "--listen", "127.0.0.1:0", "--to", site.address, "--target", "target"],
    {
      isObserved: true,
      onEvent: (event) => {
        if (event.event === "tunnel-listening") listen = String(event.listen)
      }
    }
  )
  void command.ended.then((ended) => {
    if (ended.code !== 0)
      site.journal.violation(`${site.name}: the tunnel ended: ${shown(command.args, ended)}`)
  })
  const port = Number((await command.until(() => listen, 180_000))?.split(":").at(-1))
  if (Number.isNaN(port)) throw new Error(`${site.name}: no tunnel: ${command.stderr}`)
  return { command, port }
}

type Outcome =
  | { readonly kind: "ended"; readonly bytes: Buffer }
  | { readonly kind: "reset"; readonly reason: string }

/** A connection to the near end that collects what it receives. */
const connect = (port: number) => {
  const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true })
  const chunks: Array<Buffer> = []
  socket.on("data", (chunk: Buffer) => chunks.push(chunk))
  let onEnd = () => {}
  const received = new Promise<void>((resolve) => {
    onEnd = resolve
  })
  let hasEnd = false
  socket.once("end", () => {
    hasEnd = true
    onEnd()
  })
  const outcome = new Promise<Outcome>((resolve) => {
    let reason = ""
    const timer = setTimeout(() => {
      reason = "stuck"
      socket.destroy()
    }, deadline)
    socket.on("error", (error) => {
      reason = error.message
    })
    socket.once("close", () => {
      clearTimeout(timer)
      onEnd()
      resolve(
        hasEnd && reason === ""
          ? { kind: "ended", bytes: Buffer.concat(chunks) }
          : { kind: "reset", reason: reason === "" ? "closed without an end" : reason }
      )
    })
  })
  return { socket, outcome, received }
}

interface Flow {
  readonly outcome: Outcome
  /** Expected content; a digest that the target must have received, for the kind `first`. */
  readonly expected: Buffer
  readonly digest?: string
}

const sizeOf = (random: Random): number =>
  random.chance(0.1) ? random.integer(100_000, 3_000_000) : random.integer(1, 50_000)

/** Echo: writes pieces with pauses, ends its side, and reads to the end. */
const echo = async (site: Site, random: Random, port: number): Promise<Flow> => {
  const { socket, outcome } = connect(port)
  const pieces = Array.from({ length: random.integer(1, 8) }, () => random.bytes(sizeOf(random)))
  socket.write("E")
  for (const piece of pieces) {
    socket.write(piece)
    await site.journal.pause(random.integer(0, 100))
  }
  socket.end()
  return { outcome: await outcome, expected: Buffer.concat(pieces) }
}

/** Slow echo: stays open while servers are killed and peers are reloaded. */
const slow = async (site: Site, random: Random, port: number): Promise<Flow> => {
  const { socket, outcome } = connect(port)
  const pieces: Array<Buffer> = []
  socket.write("E")
  for (let count = random.integer(10, 60); count > 0 && !site.journal.isStopping; count--) {
    if (socket.destroyed) break
    const piece = random.bytes(random.integer(1, 500))
    pieces.push(piece)
    socket.write(piece)
    await site.journal.pause(1000)
  }
  socket.end()
  return { outcome: await outcome, expected: Buffer.concat(pieces) }
}

/** Half-close by the client: the answer comes after its end. */
const digest = async (_: Site, random: Random, port: number): Promise<Flow> => {
  const { socket, outcome } = connect(port)
  const content = random.bytes(sizeOf(random))
  socket.end(Buffer.concat([Buffer.from("D"), content]))
  return { outcome: await outcome, expected: createHash("sha256").update(content).digest() }
}

/** Half-close by the target: the client writes after it has read the end. */
const first = async (_: Site, random: Random, port: number): Promise<Flow> => {
  const { socket, outcome, received } = connect(port)
  const content = random.bytes(sizeOf(random))
  socket.write("F")
  await received
  socket.end(content)
  const hash = createHash("sha256").update(content).digest("hex")
  return { outcome: await outcome, expected: greeting, digest: hash }
}

/** Runs one flow. A cut is allowed only if the server was not reachable all the time. */
const runFlow = async (
  site: Site,
  random: Random,
  port: number,
  kind: typeof echo
): Promise<void> => {
  const started = Date.now()
  const { outcome, expected, digest: hash } = await kind(site, random, port)
  const name = `${site.name}: a tunnel flow (${kind.name})`
  if (outcome.kind === "reset") {
    if (outcome.reason === "stuck" || site.server.wasReachableSince(started))
      site.journal.violation(`${name} was cut while the server was reachable: ${outcome.reason}`)
    return
  }
  if (!outcome.bytes.equals(expected))
    return site.journal.violation(
      `${name} ended with ${outcome.bytes.length} bytes that are not the ${expected.length} expected`
    )
  if (hash !== undefined) {
    // The end reaches the target after the near end has accepted it.
    for (let waited = 0; waited < 60_000; waited += 100) {
      if (site.options.target.hasReceived(hash)) return count(site, kind)
      await new Promise((done) => setTimeout(done, 100))
    }
    if (site.server.wasReachableSince(started))
      site.journal.violation(`${name}: what the client wrote last did not arrive`)
    return
  }
  count(site, kind)
}

const count = (site: Site, kind: typeof echo) => {
  site.journal.counters.add("tunnel flows")
  if (kind === digest || kind === first) site.journal.counters.add("half-closed flows")
}

export const tunnel = async (site: Site, random: Random, port: number): Promise<void> => {
  const next = random.deck([echo, echo, digest, first])
  const quick = async () => {
    while (!site.journal.isStopping) {
      await runFlow(site, random, port, next())
      await site.journal.pause(random.integer(500, 4000))
    }
  }
  const slowly = random.fork("slow")
  const long = async () => {
    while (!site.journal.isStopping) await runFlow(site, slowly, port, slow)
  }
  await Promise.all([quick(), long()])
}
