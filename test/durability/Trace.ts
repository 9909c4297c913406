// What a process does to the files below a folder, in the order of its system calls, as strace
// records them: also those of native code and of other threads.
import { spawnSync } from "node:child_process"
import { createReadStream, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { createInterface } from "node:readline"
import { bin, type Box, type Running } from "../cli/Sealwire.ts"

export const hasStrace = spawnSync("strace", ["-V"]).status === 0

/** A call that changes a file or folder, or a line that the process has written to stdout. */
export type Change =
  | { readonly kind: "create" | "mkdir" | "unlink" | "rmdir"; readonly path: string }
  | { readonly kind: "symlink"; readonly path: string; readonly target: string }
  | { readonly kind: "link" | "rename"; readonly from: string; readonly path: string }
  | { readonly kind: "write"; readonly path: string; readonly at: number; readonly bytes: Buffer }
  | { readonly kind: "truncate"; readonly path: string; readonly length: number }
  | { readonly kind: "sync"; readonly path: string }
  | { readonly kind: "said"; readonly text: string }

/**
 * A call begins and ends at different moments: other threads run between. `time` is in seconds
 * since 1970.
 */
export interface Step {
  readonly time: number
  readonly begins?: Change
  /** The change that has ended; the same object that began. */
  readonly ends?: Change
}

const calls = [
  "openat",
  "open",
  "write",
  "pwrite64",
  "ftruncate",
  "fsync",
  "fdatasync",
  "link",
  "linkat",
  "unlink",
  "unlinkat",
  "rename",
  "renameat",
  "renameat2",
  "mkdir",
  "mkdirat",
  "rmdir",
  "symlink",
  "symlinkat",
  // They would change files without the model's knowledge.
  "writev",
  "pwritev",
  "fallocate",
  "truncate",
  "copy_file_range",
  "sendfile"
]

/** A command of Sealwire under strace. */
export class Traced {
  readonly running: Running
  readonly #file: string
  readonly #root: string

  /** `root` is the folder that is watched; a folder of the box. */
  constructor(box: Box, root: string, args: ReadonlyArray<string>) {
    const folder = mkdtempSync(path.join(tmpdir(), "sealwire-trace-"))
    box.defer(() => rmSync(folder, { recursive: true, force: true }))
    this.#file = path.join(folder, "trace")
    this.#root = box.path(root)
    this.running = box.startOther(
      "strace",
      [
        "-D",
        "-f",
        "-y",
        "-ttt",
        "-xx",
        "-s",
        String(2 ** 22),
        "-e",
        `trace=${calls.join()}`,
        "-e",
        "signal=none",
        "-o",
        this.#file,
        process.execPath,
        bin,
        ...args
      ],
      // io_uring would change files without a system call of their own.
      { env: { UV_USE_IO_URING: "0" } }
    )
  }

  /** Returns the steps of the command, which has ended. */
  async steps(): Promise<ReadonlyArray<Step>> {
    const parser = new Parser(this.#root)
    for await (const line of createInterface({ input: createReadStream(this.#file, "latin1") }))
      parser.push(line)
    return parser.steps
  }
}

const text = (hex: string): Buffer => Buffer.from(hex.replaceAll("\\x", ""), "hex")

/** `17</path>`, where the path is in hexadecimal. */
const descriptor = /^(?<fd>\d+)<(?<shown>[^>]*)>$/
const quotedText = /^"(?<hex>(?:\\x[0-9a-f]{2})*)"(?<cut>\.\.\.)?$/

class Parser {
  readonly #steps: Array<Step> = []
  readonly #failed = new Set<Change>()
  readonly #root: string
  /** Calls of threads that have begun. */
  readonly #unfinished = new Map<string, { readonly start: string; readonly change?: Change }>()
  /** Positions of files that are written without one. */
  readonly #positions = new Map<string, number>()
  /** Paths of open descriptors, also of folders. */
  readonly #paths = new Map<number, string>()

  constructor(root: string) {
    this.#root = root
  }

  /** The steps so far, without those of calls that have failed. */
  get steps(): ReadonlyArray<Step> {
    return this.#steps.filter(({ begins }) => begins === undefined || !this.#failed.has(begins))
  }

  push(line: string): void {
    const [, thread = "", at = "", rest = ""] = /^(\d+) +(\d+\.\d+) (.*)$/.exec(line) ?? []
    const time = Number(at)
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest)
    if (resumed !== null) {
      const begun = this.#unfinished.get(thread)
      this.#unfinished.delete(thread)
      if (begun !== undefined) this.#end(time, begun.start + (resumed[1] ?? ""), begun.change)
      return
    }
    const unfinished = /^(.*) <unfinished \.\.\.>$/.exec(rest)
    if (unfinished !== null) {
      const start = unfinished[1] ?? ""
      const change = this.#changeOf(start)
      this.#unfinished.set(thread, change === undefined ? { start } : { start, change })
      if (change !== undefined) this.#steps.push({ time, begins: change })
      return
    }
    const change = this.#changeOf(rest)
    if (change !== undefined) this.#steps.push({ time, begins: change })
    this.#end(time, rest, change)
  }

  #end(time: number, call: string, change: Change | undefined): void {
    const [, name = "", args = "", result = ""] = /^(\w+)\((.*)\) += (.*)$/.exec(call) ?? []
    if (name === "open" || name === "openat") {
      const { fd, shown } = descriptor.exec(result)?.groups ?? {}
      if (fd === undefined || shown === undefined) return
      const opened = text(shown).toString()
      this.#paths.set(Number(fd), opened)
      this.#positions.set(fd, 0)
      if (!this.#isWatched(opened)) return
      // One that existed is created again, which changes nothing.
      if (args.includes("O_CREAT")) this.#both(time, { kind: "create", path: opened })
      if (args.includes("O_TRUNC")) this.#both(time, { kind: "truncate", path: opened, length: 0 })
      return
    }
    if (change === undefined) return
    if (result.startsWith("-1")) return void this.#failed.add(change)
    this.#steps.push({ time, ends: change })
  }

  #both(time: number, change: Change): void {
    this.#steps.push({ time, begins: change }, { time, ends: change })
  }

  #isWatched(file: string): boolean {
    return file === this.#root || file.startsWith(`${this.#root}/`)
  }

  /** Returns the change that a call makes to a watched file. */
  #changeOf(call: string): Change | undefined {
    const [, name = "", list = ""] = /^(\w+)\((.*?)(?:\) += .*)?$/.exec(call) ?? []
    const args = list.split(", ")
    const change = this.#makers[name]?.(args)
    if (change === undefined || change.kind === "said") return change
    return this.#isWatched(change.path) ? change : undefined
  }

  readonly #makers: Readonly<Record<string, (args: ReadonlyArray<string>) => Change | undefined>> =
    {
      write: ([fd, bytes]) => {
        const content = this.#text(bytes)
        if (fd?.startsWith("1<") === true) return { kind: "said", text: content.toString() }
        const number = descriptor.exec(fd ?? "")?.groups?.fd ?? ""
        const at = this.#positions.get(number) ?? 0
        this.#positions.set(number, at + content.length)
        return { kind: "write", path: this.#shown(fd), at, bytes: content }
      },
      pwrite64: ([fd, bytes, , at]) => ({
        kind: "write",
        path: this.#shown(fd),
        at: Number(at),
        bytes: this.#text(bytes)
      }),
      ftruncate: ([fd, length]) => ({
        kind: "truncate",
        path: this.#shown(fd),
        length: Number(length)
      }),
      fsync: ([fd]) => ({ kind: "sync", path: this.#shown(fd) }),
      fdatasync: ([fd]) => ({ kind: "sync", path: this.#shown(fd) }),
      link: ([from, to]) => ({ kind: "link", from: this.#path(from), path: this.#path(to) }),
      rename: ([from, to]) => ({ kind: "rename", from: this.#path(from), path: this.#path(to) }),
      unlink: ([file]) => ({ kind: "unlink", path: this.#path(file) }),
      rmdir: ([file]) => ({ kind: "rmdir", path: this.#path(file) }),
      mkdir: ([file]) => ({ kind: "mkdir", path: this.#path(file) }),
      symlink: ([target, file]) => ({
        kind: "symlink",
        target: this.#text(target).toString(),
        path: this.#path(file)
      }),
      ...Object.fromEntries(
        ["writev", "pwritev", "fallocate", "truncate", "copy_file_range", "sendfile"].map(
          (name) => [name, ([first]: ReadonlyArray<string>) => this.#refuse(name, first)]
        )
      )
    }

  #refuse(name: string, first = ""): undefined {
    const file = first.startsWith('"') ? this.#path(first) : this.#shown(first)
    if (this.#isWatched(file)) throw new Error(`the model does not know ${name} of ${file}`)
    return undefined
  }

  #text(argument = ""): Buffer {
    const { hex, cut } = quotedText.exec(argument)?.groups ?? {}
    if (hex === undefined || cut !== undefined) throw new Error(`no text: ${argument.slice(0, 80)}`)
    return text(hex)
  }

  /** The path of an open descriptor, as the system shows it; that of a removed file as it was. */
  #shown(argument = ""): string {
    const shown = text(descriptor.exec(argument)?.groups?.shown ?? "").toString()
    return shown.replace(/ \(deleted\)$/, "")
  }

  /** A path argument, without the descriptor of a folder that it may go through. */
  #path(argument = ""): string {
    const given = this.#text(argument).toString()
    const [, fd, name = ""] = /^\/proc\/self\/fd\/(\d+)\/(.*)$/.exec(given) ?? []
    const base = fd === undefined ? path.dirname(this.#root) : this.#paths.get(Number(fd))
    return path.resolve(base ?? "/", fd === undefined ? given : name)
  }
}
