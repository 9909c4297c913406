// Samples of memory, descriptors and sockets, from /proc and from the servers' own status.
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs"
import net from "node:net"
import type { Bound, Sample } from "./flatness.ts"

const MiB = 1024 * 1024

/** Bounds by the name of the measure, which says its unit. */
export const bounds = {
  "live heap, MiB": { base: 1.5, perHour: 3 },
  "RSS, MiB": { base: 20, perHour: 15 },
  descriptors: { base: 8, perHour: 2 },
  sockets: { base: 8, perHour: 2 },
  "closing sockets": { base: 2, perHour: 2 },
  sessions: { base: 6, perHour: 2 },
  "half-open connections": { base: 3, perHour: 2 },
  files: { base: 3, perHour: 3 }
} as const satisfies Record<string, Bound>

export type Measure = keyof typeof bounds

export interface Series {
  readonly subject: string
  readonly measure: Measure
  readonly samples: Array<Sample>
}

/** A value that is missing because a process or file has just gone is not a sample. */
const orUndefined = <A>(read: () => A): A | undefined => {
  try {
    return read()
  } catch {
    return undefined
  }
}

const residentSet = (pid: number): number | undefined => {
  const status = orUndefined(() => readFileSync(`/proc/${pid}/status`, "utf8"))
  const kibibytes = /^VmRSS:\s+(\d+)/m.exec(status ?? "")?.[1]
  return kibibytes === undefined ? undefined : Number(kibibytes) / 1024
}

/** What the open descriptors of a process refer to; undefined after its end. */
const targetsOf = (pid: number): ReadonlyArray<string> | undefined =>
  orUndefined(() =>
    readdirSync(`/proc/${pid}/fd`).flatMap(
      (fd) => orUndefined(() => readlinkSync(`/proc/${pid}/fd/${fd}`)) ?? []
    )
  )

const closeWait = "08"

/** TCP sockets of this address and port that wait for their program to close them. */
const closingSockets = (address: string): number => {
  const [host = "", port = ""] = address.split(":")
  const hex = (value: number) => value.toString(16).toUpperCase()
  const bytes = host.split(".").map((part) => hex(Number(part)).padStart(2, "0"))
  const wanted = `${bytes.reverse().join("")}:${hex(Number(port)).padStart(4, "0")}`
  return readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, remote, state]) => [local, remote].includes(wanted) && state === closeWait)
    .length
}

/** The last live heap that an observed process has reported. */
const liveHeap = (report: string): number | undefined =>
  orUndefined(() => {
    const { heapUsed, external } = JSON.parse(readFileSync(report, "utf8")) as {
      readonly heapUsed: number
      readonly external: number
    }
    return statSync(report).mtimeMs > Date.now() - 60_000 ? (heapUsed + external) / MiB : undefined
  })

interface Status {
  readonly sessions: number
  readonly halfOpen: number
}

/** The status that a server sends through its control socket, as `sealwire status` reads it. */
const statusOf = (control: string): Promise<Status | undefined> =>
  new Promise((resolve) => {
    const chunks: Array<Buffer> = []
    const socket = net.connect(control)
    socket.setTimeout(5000, () => socket.destroy())
    socket.on("data", (chunk: Buffer) => chunks.push(chunk))
    // The server may be killed at any moment.
    socket.on("error", () => {})
    socket.on("close", () =>
      resolve(
        orUndefined(() => {
          const { sessions, halfOpen } = JSON.parse(Buffer.concat(chunks).toString()) as {
            readonly sessions: ReadonlyArray<unknown>
            readonly halfOpen: number
          }
          return { sessions: sessions.length, halfOpen }
        })
      )
    )
  })

export interface Subject {
  readonly name: string
  readonly pid: () => number | undefined
  /** File of the live heap, if the process is observed. */
  readonly report?: string
  /** Address and control socket of a server. */
  readonly server?: { readonly address: string; readonly control: string }
}

/** Series of samples, by subject and measure. */
export class Sampler {
  readonly #series = new Map<string, Series>()

  get series(): ReadonlyArray<Series> {
    return [...this.#series.values()]
  }

  add(subject: string, measure: Measure, value: number | undefined): void {
    if (value === undefined) return
    const name = `${subject}: ${measure}`
    const series = this.#series.get(name) ?? { subject, measure, samples: [] }
    this.#series.set(name, series)
    series.samples.push([Date.now(), value])
  }

  async sample({ name, pid: getPid, report, server }: Subject): Promise<void> {
    const pid = getPid()
    if (pid === undefined) return
    this.add(name, "RSS, MiB", residentSet(pid))
    const targets = targetsOf(pid)
    this.add(name, "descriptors", targets?.length)
    this.add(name, "sockets", targets?.filter((target) => target.startsWith("socket:")).length)
    if (report !== undefined) this.add(name, "live heap, MiB", liveHeap(report))
    if (server === undefined) return
    this.add(name, "closing sockets", closingSockets(server.address))
    const status = await statusOf(server.control)
    this.add(name, "sessions", status?.sessions)
    this.add(name, "half-open connections", status?.halfOpen)
  }
}

/** Open descriptors of a process now: how many of each kind, by file or kind of socket. */
export const openDescriptors = (pid: number): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const target of targetsOf(pid) ?? []) {
    const kind = target.replace(/:\[\d+\]$/, "")
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  return counts
}
