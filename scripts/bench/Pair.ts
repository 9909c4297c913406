// A contestant's two processes, kept over the rounds of a row.
import { fork, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import type { Call } from "./child.ts"
import type { Figures, Job } from "./Side.ts"
import { bundle } from "./bundle.ts"

/** Flags for every process of the bench: `npm run bench -- bulk --node=--cpu-prof` profiles them. */
const nodeFlags = process.argv
  .filter((arg) => arg.startsWith("--node="))
  .map((arg) => arg.slice("--node=".length))

/** Milliseconds for one answer: a contestant that hangs ends the bench, and is named. */
const patience = 60_000

type Answer = { readonly figures: Figures } | { readonly error: string }

class Child {
  readonly #process: ChildProcess
  #answered: (answer: Answer) => void = () => {}

  constructor(side: string, job: Job) {
    this.#process = fork(bundle, [side, job], { execArgv: ["--expose-gc", ...nodeFlags] })
    this.#process.on("message", (answer: Answer) => this.#answered(answer))
    this.#process.on("exit", () =>
      this.#answered({ error: `the process of ${side} for ${job} ended` })
    )
  }

  /** One question at a time. */
  async ask(call: Call): Promise<Figures> {
    const answer = await new Promise<Answer>((resolve) => {
      this.#answered = resolve
      this.#process.send(call)
      setTimeout(resolve, patience, {
        error: `${this.#process.spawnargs.slice(-2).join(" for ")} does not answer`
      }).unref()
    })
    if ("error" in answer) throw new Error(answer.error)
    return answer.figures
  }

  async stop(): Promise<void> {
    const gone = once(this.#process, "exit")
    this.#process.disconnect()
    await gone
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

  /** The client's figures, and what both ends, and the programs below them, spent on them. */
  async run(amount: number): Promise<Figures> {
    const spent = async () => {
      const ends = await Promise.all(
        [this.#server, this.#client].map((child) => child.ask({ do: "cpu" }))
      )
      const sum = (what: "cpu" | "programs") =>
        ends.reduce((all, figures) => all + (figures[what] ?? 0), 0)
      return { cpu: sum("cpu"), programs: sum("programs") }
    }
    const before = await spent()
    const figures = await this.#client.ask({ do: "run", port: this.#port, amount })
    const after = await spent()
    return { ...figures, cpu: after.cpu - before.cpu, programs: after.programs - before.programs }
  }

  /** The server's memory after a collection, in KiB. */
  memory(): Promise<Figures> {
    return this.#server.ask({ do: "memory" })
  }

  async stop(): Promise<void> {
    await Promise.all([this.#client.stop(), this.#server.stop()])
  }
}
