// Stops the process when an input does not end: the thread that runs it cannot notice.
import { Worker } from "node:worker_threads"

const watch = `
const { workerData } = require("node:worker_threads")
const { mkdirSync, writeFileSync } = require("node:fs")
const { dirname } = require("node:path")
const { shared, maxBytes, hangMillis, file } = workerData
const state = new Int32Array(shared, 0, 2)
let last = -1
setInterval(() => {
  const now = Atomics.load(state, 0)
  if (now === last && now > 0) {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, Buffer.from(shared, 8, Atomics.load(state, 1)))
    console.error("an input did not end within " + hangMillis + " ms; it is in " + file)
    process.kill(process.pid, "SIGKILL")
  }
  last = now
}, hangMillis)
`

export interface WatchdogOptions {
  readonly maxBytes: number
  readonly hangMillis: number
  /** Where the input is written that did not end. */
  readonly file: string
}

export class Watchdog {
  readonly #shared: SharedArrayBuffer
  readonly #state: Int32Array
  readonly #input: Uint8Array
  readonly #worker: Worker

  constructor(options: WatchdogOptions) {
    this.#shared = new SharedArrayBuffer(8 + options.maxBytes)
    this.#state = new Int32Array(this.#shared, 0, 2)
    this.#input = new Uint8Array(this.#shared, 8)
    this.#worker = new Worker(watch, {
      eval: true,
      workerData: { ...options, shared: this.#shared }
    })
    this.#worker.unref()
  }

  /** Notes that this input runs now. */
  readonly note = (input: Uint8Array): void => {
    const bytes = input.subarray(0, this.#input.length)
    this.#input.set(bytes)
    Atomics.store(this.#state, 1, bytes.length)
    Atomics.add(this.#state, 0, 1)
  }

  stop(): Promise<number> {
    return this.#worker.terminate()
  }
}
