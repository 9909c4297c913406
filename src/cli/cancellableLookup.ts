// Look-ups of host names that do not hold back the end of the command. `dns.lookup` runs getaddrinfo
// in the thread pool, and process.exit() waits for it: up to minutes while no name server answers.
import { spawn, type ChildProcess } from "node:child_process"
import dns from "node:dns"
import { existsSync } from "node:fs"
import net from "node:net"
import * as ChildEnvironment from "../keys/ChildEnvironment.ts"
import { nameServerSilent } from "../transports/ConnectAttempts.ts"

/** Asks getaddrinfo of the C library, as `dns.lookup` does. musl and other systems may lack it. */
const program = "/usr/bin/getent"

/** After a failure that took longer, the name server does not answer, and is not asked again. */
const answeredMillis = 1_000

type Callback = (
  error: NodeJS.ErrnoException | null,
  address: string | ReadonlyArray<dns.LookupAddress>,
  family?: number
) => void

/**
 * Makes `dns.lookup` run in a subprocess, which ends with this process. All code of this process
 * that connects or listens by name uses it, that of Node included.
 */
export const install = (): void => {
  if (!existsSync(program)) return
  const original = dns.lookup as (host: string, options: object, done: Callback) => void
  const running = new Set<ChildProcess>()
  process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")))

  const lookup = (host: string, given: unknown, then?: Callback): void => {
    const done = (typeof given === "function" ? given : then) as Callback
    const options: dns.LookupOptions =
      typeof given === "number"
        ? { family: given }
        : typeof given === "object" && given
          ? given
          : {}
    const direct = () => original(host, options, done)
    if (!isAsked(host)) return direct()
    const startedAt = performance.now()
    const child = spawn(program, ["ahosts", host], {
      env: ChildEnvironment.get(),
      stdio: ["ignore", "pipe", "ignore"]
    })
    running.add(child)
    let output = ""
    child.stdout.setEncoding("latin1").on("data", (text: string) => (output += text))
    let isOver = false
    const end = () => {
      running.delete(child)
      if (isOver) return
      isOver = true
      const found = addressesOf(output, options.family)
      const [first] = found
      if (first !== undefined)
        return options.all === true ? done(null, found) : done(null, first.address, first.family)
      // The reason of a failure, which getent does not tell.
      if (performance.now() - startedAt < answeredMillis) return direct()
      done(Object.assign(new Error(`getent ${host}`), { code: nameServerSilent }), [])
    }
    child.once("error", end).once("close", end)
  }
  dns.lookup = lookup as typeof dns.lookup
}

/** False for what the C library knows without a name server. */
const isAsked = (host: string): boolean =>
  host !== "" && host !== "localhost" && net.isIP(host) === 0 && !/^-|\0/.test(host)

/** The different addresses in the output of `getent ahosts`, in its order. */
const addressesOf = (
  output: string,
  family: dns.LookupOptions["family"] = 0
): ReadonlyArray<dns.LookupAddress> => {
  const wanted = family === "IPv4" ? 4 : family === "IPv6" ? 6 : family
  const words = output.split("\n").map((line) => line.split(/\s/)[0] ?? "")
  return [...new Set(words)]
    .map((address) => ({ address, family: net.isIP(address) }))
    .filter(({ family: actual }) => actual !== 0 && (wanted === 0 || wanted === actual))
}
