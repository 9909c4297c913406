// Connections of those who are not authorized: they get no byte, and their connection is closed.
import net from "node:net"
import { shown } from "../Command.ts"
import { newIdentity } from "../identities.ts"
import type { Random } from "../Random.ts"
import type { Site } from "../Site.ts"

/** A server closes what sends nothing valid within ten seconds; the machine may be slow. */
const deadline = 120_000

/** Sends these pieces, and reports how the connection went; undefined if nobody listened. */
const visit = async (
  site: Site,
  pieces: ReadonlyArray<Buffer>,
  leavesAfter: number | undefined
): Promise<string | undefined> => {
  const [host = "", port = ""] = site.address.split(":")
  const started = Date.now()
  const problem = await new Promise<string | undefined>((resolve) => {
    let received = 0
    let refused = false
    let isOverdue = false
    const socket = net.connect({ host, port: Number(port) })
    const timers = [
      setTimeout(() => {
        isOverdue = true
        socket.destroy()
      }, deadline),
      ...(leavesAfter === undefined ? [] : [setTimeout(() => socket.destroy(), leavesAfter)])
    ]
    socket.on("connect", () => {
      for (const piece of pieces) socket.write(piece)
    })
    socket.on("data", (bytes: Buffer) => {
      received += bytes.length
    })
    socket.on("error", (error: NodeJS.ErrnoException) => {
      refused = error.code === "ECONNREFUSED"
    })
    socket.on("close", () => {
      for (const timer of timers) clearTimeout(timer)
      if (received > 0) resolve(`received ${received} bytes`)
      else if (isOverdue) resolve(`was still connected after ${deadline / 1000} s`)
      else
        resolve(refused && site.server.wasReachableSince(started) ? "was not accepted" : undefined)
    })
  })
  if (problem === undefined) site.journal.counters.add("strangers")
  return problem
}

const garbage = (site: Site, random: Random) =>
  visit(site, [random.bytes(random.integer(1, 3000))], undefined)
const silent = (site: Site) => visit(site, [], undefined)
const leaving = (site: Site, random: Random) =>
  visit(site, random.chance(0.5) ? [random.bytes(5)] : [], random.integer(0, 500))
/**
 * A hello as PROTOCOL.md section 3 has it, and a first message that nobody can decrypt. Suite 3 is
 * left out: its first message is no secret, so that a server answers any.
 */
const almost = (site: Site, random: Random) => {
  const suite = [1, 2, 4, 6, 9][random.integer(0, 4)] ?? 1
  const hello = Buffer.concat([Buffer.from("SLWR"), Buffer.from([1, suite, 0, 0])])
  return visit(site, [hello, random.bytes(random.integer(0, 200))], undefined)
}

/** The command with an identity that is not authorized: exit code 4, and nothing arrives. */
const wrongKey = async (site: Site): Promise<string | undefined> => {
  const started = Date.now()
  newIdentity(site.path("stranger", "identity.key"))
  const args = ["send", "a stranger", "--to", site.address, "--identity", "./identity.key"]
  const ended = await site.run("stranger", [...args, "--retry", "0", "--accept-new"])
  if (ended.code === 4) site.journal.counters.add("wrong keys")
  else if (ended.code !== 5 || site.server.wasReachableSince(started)) return shown(args, ended)
  return undefined
}

export const strangers = async (site: Site, random: Random): Promise<void> => {
  const cheap = [garbage, silent, leaving, almost]
  const next = random.deck([wrongKey, ...cheap, ...cheap, ...cheap])
  while (!site.journal.isStopping) {
    const kind = next()
    const problem = await kind(site, random)
    if (problem !== undefined)
      site.journal.violation(`${site.name}: a stranger (${kind.name}) ${problem}`)
    await site.journal.pause(random.integer(500, 5000))
  }
}
