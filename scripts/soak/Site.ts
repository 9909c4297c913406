import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import path from "node:path"
import { AccountBook } from "./AccountBook.ts"
import { Command, type CommandOptions, type Ended } from "./Command.ts"
import type { Fault } from "./faults.ts"
import { FileBook } from "./FileBook.ts"
import { newIdentity, writePrivate } from "./identities.ts"
import type { Journal } from "./Journal.ts"
import type { Random } from "./Random.ts"
import { Server } from "./Server.ts"
import type { Target } from "./Target.ts"

/** The users of a server. Each has a folder, an identity, and a known_peers file. */
export const users = ["lines", "stream", "outbox", "files", "tunnel"] as const
export type User = (typeof users)[number]

export interface SiteOptions {
  readonly name: string
  /** Folder of this server and its users. */
  readonly folder: string
  /** Folder for temporary files of all processes. */
  readonly temporary: string
  /** Loopback address on which the server listens. */
  readonly host: string
  readonly journal: Journal
  readonly random: Random
  readonly target: Target
  readonly plant: Fault | undefined
  /** True if the live heap of the server is measured. */
  readonly isObserved: boolean
}

/** A server, its users, and what they must find again. */
export class Site {
  readonly options: SiteOptions
  readonly book = new AccountBook()
  readonly files = new FileBook()
  readonly server: Server
  /** Options of `serve` that a rotation needs at this stage. */
  rotationArgs: ReadonlyArray<string> = []
  #address: string
  #peersLock: Promise<unknown> = Promise.resolve()

  constructor(options: SiteOptions) {
    this.options = options
    const { name, journal } = options
    this.#address = `${options.host}:0`
    this.server = new Server({
      name: `the ${name} server`,
      journal,
      spawn: (onEvent) => this.#spawnServer(onEvent)
    })
    mkdirSync(this.served, { recursive: true, mode: 0o700 })
  }

  get name(): string {
    return this.options.name
  }

  get journal(): Journal {
    return this.options.journal
  }

  get address(): string {
    return this.#address
  }

  get served(): string {
    return this.path("served")
  }

  get authorized(): string {
    return this.path("authorized_peers")
  }

  path(...names: ReadonlyArray<string>): string {
    return path.join(this.options.folder, ...names)
  }

  /** Path in the configuration folder of a user. */
  configOf(user: string, ...names: ReadonlyArray<string>): string {
    return this.path(user, "config", "sealwire", ...names)
  }

  /** Creates all keys, starts the server, and pins its key for each user. */
  async start(): Promise<void> {
    const key = newIdentity(this.path("server.key"))
    const rules = (user: User) => (user === "files" ? "overwrite " : "")
    const lines = users.map(
      (user) => `${rules(user)}${newIdentity(this.configOf(user, "identity.key"))} ${user}\n`
    )
    writePrivate(this.authorized, lines.join(""))
    this.#address = await this.server.start()
    for (const user of users)
      writePrivate(this.configOf(user, "known_peers"), `${this.#address} ${key} ${this.name}\n`)
  }

  #spawnServer(onEvent: CommandOptions["onEvent"]): Command {
    const { isObserved, plant, target } = this.options
    const args = [
      "serve",
      `--listen=${this.#address}`,
      "--json",
      "--identity=./server.key",
      ...this.rotationArgs,
      "--authorized-peers=./authorized_peers",
      "--inbox=./inbox.db",
      "--files=./served",
      `--forward=target=127.0.0.1:${target.port}`,
      "--control=./control.sock"
    ]
    const leak = plant === "descriptors" || plant === "memory" ? plant : undefined
    return new Command(args, {
      cwd: this.options.folder,
      env: this.#environment("server", isObserved ? { SEALWIRE_SOAK_PLANT: leak } : {}),
      nodeArgs: isObserved ? observed : [],
      ...(onEvent === undefined ? {} : { onEvent })
    })
  }

  #environment(user: string, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
    return {
      PATH: process.env.PATH,
      HOME: this.path(user),
      XDG_CONFIG_HOME: this.path(user, "config"),
      TMPDIR: this.options.temporary,
      SEALWIRE_SOAK_REPORT: this.reportOf(user),
      ...more
    }
  }

  /** File into which an observed process of this user writes its live heap. */
  reportOf(user: string): string {
    return this.path(`${user}.heap.json`)
  }

  /** Starts a command of a user, in the user's folder. */
  spawn(
    user: string,
    args: ReadonlyArray<string>,
    options: Pick<CommandOptions, "input" | "onEvent"> & { readonly isObserved?: boolean } = {}
  ): Command {
    const { isObserved = false, ...rest } = options
    return new Command([...args, "--json"], {
      cwd: this.path(user),
      env: this.#environment(user),
      nodeArgs: isObserved ? observed : [],
      ...rest
    })
  }

  /** Runs a command of a user to its end. */
  run(user: string, args: ReadonlyArray<string>): Promise<Ended> {
    return this.spawn(user, args).ended
  }

  /** Starts a command of the administrator of the server, in the server's folder. */
  spawnHere(args: ReadonlyArray<string>): Command {
    // `inbox done` reports nothing, and has no --json.
    const isSilent = args[0] === "inbox" && args[1] === "done"
    return new Command(isSilent ? args : [...args, "--json"], {
      cwd: this.options.folder,
      env: this.#environment("server")
    })
  }

  /** Runs a command of the administrator to its end. */
  administer(args: ReadonlyArray<string>): Promise<Ended> {
    return this.spawnHere(args).ended
  }

  /**
   * True if a command ended because the server was restarted during its first handshake. It cannot
   * tell that from a refusal when it takes half a second (MESSAGES.md section 4), and ends with exit
   * code 4 in spite of --retry.
   */
  wasCutInHandshake({ code, stderr }: Ended, since: number): boolean {
    const isCut =
      code === 4 && stderr.includes("HandshakeFailed") && !this.server.wasReachableSince(since)
    if (isCut) this.journal.counters.add("handshakes cut by a restart")
    return isCut
  }

  /** Runs work alone that needs a valid authorized_peers, or makes it invalid for a while. */
  withPeers<A>(work: () => Promise<A>): Promise<A> {
    const result = this.#peersLock.then(work)
    this.#peersLock = result.catch(() => {})
    return result
  }

  /** Replaces authorized_peers as an editor would that knows nothing of Sealwire. */
  editPeers(change: (text: string) => string): void {
    writeFileSync(this.authorized, change(readFileSync(this.authorized, "utf8")))
  }
}

const observed = ["--expose-gc", "--import", path.join(import.meta.dirname, "observer.mjs")]
