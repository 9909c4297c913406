// The two processes of a contestant, which stay alive for all rounds of a row.
import { fork, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import type { Call } from "./child.ts"
import type { Figures, Job } from "./Side.ts"
import { bundle } from "./bundle.ts"
import { optionsOf } from "./options.ts"

/** Of every process: `npm run bench -- bulk --node-option=--cpu-prof` profiles them. */
const { nodeOptions } = optionsOf(process.argv.slice(2))

/**
 * The time limit of one answer in milliseconds. A contestant that exceeds it ends the benchmark.
 */
const answerTimeout = 60_000

/** The time in milliseconds that a process has to end by itself. */
const stopTimeout = 5000

type Answer = { readonly figures: Figures } | { readonly error: string }

class Child {
  readonly #process: ChildProcess
  #onAnswer: (answer: Answer) => void = () => {}

  constructor(side: string, job: Job) {
    this.#process = fork(bundle, [side, job], { execArgv: ["--expose-gc", ...nodeOptions] })
    this.#process.on("message", (answer: Answer) => this.#onAnswer(answer))
    this.#process.on("exit", () =>
      this.#onAnswer({ error: `the process of ${side} for ${job} ended` })
    )
  }

  /** Sends a call and awaits its answer; one call at a time. */
  async ask(call: Call): Promise<Figures> {
    const answer = await new Promise<Answer>((resolve) => {
      this.#onAnswer = resolve
      this.#process.send(call)
      setTimeout(resolve, answerTimeout, {
        error: `${this.#process.spawnargs.slice(-2).join(" for ")} does not answer`
      }).unref()
    })
    if ("error" in answer) throw new Error(answer.error)
    return answer.figures
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const exited = once(this.#process, "exit")
    if (this.#process.connected) this.#process.disconnect()
    const kill = setTimeout(() => this.#process.kill("SIGKILL"), stopTimeout)
    await exited
    clearTimeout(kill)
  }
}

export class Pair {
  readonly #server: Child
  readonly #client: Child
  readonly #port: number

  private constructor(server: Child, client: Child, port: number) {
    this.#server = server
    this.#client = client
    this.#port = port
  }

  static async start(side: string, job: Job, amount: number): Promise<Pair> {
    const [server, client] = [new Child(side, job), new Child(side, job)]
    const { port = 0 } = await server.ask({ do: "serve", amount })
    return new Pair(server, client, port)
  }

  /**
   * The figures of the client, and the CPU seconds of the server, of both ends, and of their child
   * processes, which the other two contain.
   */
  async run(amount: number): Promise<Figures> {
    const spent = async () => {
      const [server = {}, client = {}] = await Promise.all(
        [this.#server, this.#client].map((child) => child.ask({ do: "cpu" }))
      )
      const sum = (kind: "cpu" | "programs") => (server[kind] ?? 0) + (client[kind] ?? 0)
      return { serverCpu: server.cpu ?? 0, cpu: sum("cpu"), programs: sum("programs") }
    }
    const before = await spent()
    const figures = await this.#client.ask({ do: "run", port: this.#port, amount })
    const after = await spent()
    return {
      ...figures,
      serverCpu: after.serverCpu - before.serverCpu,
      cpu: after.cpu - before.cpu,
      programs: after.programs - before.programs
    }
  }

  /** The memory of the server in KiB, after a garbage collection. */
  memory(): Promise<Figures> {
    return this.#server.ask({ do: "memory" })
  }

  async stop(): Promise<void> {
    await Promise.all([this.#client.stop(), this.#server.stop()])
  }
}
