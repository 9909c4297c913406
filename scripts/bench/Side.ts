// What a contestant does in its two processes.

/** `bulk` one flow · `handshakes` 32 at once · `roundTrips` one after the other · `messages` one way · `idle` connections held · `firstBytes` connect, a byte there and back, one after the other. */
export type Job = "bulk" | "handshakes" | "roundTrips" | "messages" | "idle" | "firstBytes"

export type Figures = Readonly<Record<string, number>>

export interface Work {
  /** Listens on loopback for as long as the process lives; gives the port. */
  readonly serve: (amount: number) => Promise<number>
  /** Does so much against that port. `seconds` count from the first useful byte to the last. */
  readonly run: (port: number, amount: number) => Promise<Figures>
}

/** The jobs a contestant can do. */
export type Side = { readonly [J in Job]?: Work }

/** The size of one write in `bulk`, and of a message. */
export const blockBytes = 64 * 1024
export const messageBytes = 100
export const atOnce = 32

/** Seconds that the work takes. */
export const seconds = async (work: () => Promise<unknown>): Promise<number> => {
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1000
}

/** Runs `one` `count` times, `atOnce` at a time. */
export const crowd = async (count: number, one: () => Promise<unknown>): Promise<void> => {
  let begun = 0
  const worker = async () => {
    while (begun++ < count) await one()
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

/** The times of one thing done over and over, in microseconds. */
export const percentiles = (microseconds: ReadonlyArray<number>): Figures => {
  const sorted = [...microseconds].sort((a, b) => a - b)
  const at = (part: number) => sorted[Math.floor(part * (sorted.length - 1))] ?? Number.NaN
  return { p50: at(0.5), p99: at(0.99) }
}
