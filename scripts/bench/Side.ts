// The work of a contestant in its two processes.

/**
 * `bulk`: one flow. `handshakes`: 32 at once. `roundTrips`: one after the other. `messages`: one
 * way. `idle`: connections kept open. `firstBytes`: connect and one byte there and back, one after
 * the other. `refusals`: strangers that the server refuses. `halfOpen`: handshakes one after the
 * other, beside connections that send nothing.
 */
export type Job =
  | "bulk"
  | "handshakes"
  | "roundTrips"
  | "messages"
  | "idle"
  | "firstBytes"
  | "refusals"
  | "halfOpen"

export type Figures = Readonly<Record<string, number>>

export interface Work {
  /** Listens on loopback until the process ends; returns the port. */
  readonly serve: (amount: number) => Promise<number>
  /** Does `amount` of work. `seconds` is the time from the first useful byte to the last. */
  readonly run: (port: number, amount: number) => Promise<Figures>
}

/** The jobs that a contestant implements. */
export type Side = { readonly [J in Job]?: Work }

/** The size of one write in `bulk`, and of a message, in bytes. */
export const blockBytes = 64 * 1024
export const messageBytes = 100
export const atOnce = 32

/** The duration of the work in seconds. */
export const seconds = async (work: () => Promise<unknown>): Promise<number> => {
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1000
}

/** Runs `one` `count` times, with `many` runs at a time. */
export const crowd = async (
  count: number,
  one: () => Promise<unknown>,
  many = atOnce
): Promise<void> => {
  let begun = 0
  const worker = async () => {
    while (begun++ < count) await one()
  }
  await Promise.all(Array.from({ length: many }, worker))
}

/** The percentiles of repeated measurements, in microseconds. */
export const percentiles = (
  microseconds: ReadonlyArray<number>
): { readonly p50: number; readonly p95: number; readonly p99: number } => {
  const sorted = [...microseconds].sort((a, b) => a - b)
  const at = (part: number) => sorted[Math.floor(part * (sorted.length - 1))] ?? Number.NaN
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) }
}
