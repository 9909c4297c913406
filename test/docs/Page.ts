// Runs the code blocks of one Markdown page. A `console` block is typed into a terminal (bash):
// `terminal=NAME` is one of several in the page's folder, `machine=NAME` one with a folder and a
// home of its own. The lines after a command must appear, in that order; `…` stands for anything.
import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"

export const root = path.resolve(import.meta.dirname, "../..")

export interface Block {
  readonly language: string
  /** `terminal=NAME` or `machine=NAME`; undefined is a terminal in the repository. */
  readonly terminal: string | undefined
  readonly code: string
}

/** Reads the code blocks of a page, indented ones included. */
export const blocksOf = (file: string): ReadonlyArray<Block> =>
  [
    ...readFileSync(path.join(root, file), "utf8").matchAll(
      /^( *)```(\w+)(?: ((?:terminal|machine)=\w+))?\n([\s\S]*?)^\1```$/gm
    )
  ].map(([, , language = "", terminal, code = ""]) => ({ language, terminal, code }))

/** The server of the pages, an address that is reserved for documentation (RFC 5737). */
const documented = /192\.0\.2\.10/g

/** Copies between the machines of a page: `scp HOST:FILE .`, where an address is the server's. */
const scp = (folder: string) => `#!/bin/sh
host="\${1%%:*}"
case "$host" in 127.0.0.1) host=server;; esac
exec cp "${folder}/machines/$host/\${1#*:}" "$2"
`

interface Terminal {
  readonly shell: ChildProcessWithoutNullStreams
  output: string
  /** How much of the output has been compared. */
  seen: number
}

const patience = 30_000

/** The folder and the terminals of one page. */
export class Page {
  readonly #folder = mkdtempSync(path.join(tmpdir(), "sealwire-docs-"))
  readonly #terminals = new Map<string | undefined, Terminal>()
  /** Blocks whose last command has been waited for. */
  #finished = 0

  constructor() {
    mkdirSync(path.join(this.#folder, "bin"))
    const executable = (name: string, text: string) =>
      writeFileSync(path.join(this.#folder, "bin", name), text, { mode: 0o755 })
    const command = path.join(root, "dist/sealwire.js")
    executable("sealwire", `#!/bin/sh\nexec "${process.execPath}" "${command}" "$@"\n`)
    executable("scp", scp(this.#folder))
  }

  /** Ends every terminal with what it started, and removes the folder. */
  close(): void {
    for (const { shell } of this.#terminals.values())
      if (shell.pid !== undefined) process.kill(-shell.pid, "SIGKILL")
    rmSync(this.#folder, { recursive: true, force: true })
  }

  /**
   * Types the commands of a block, waits for each of its other lines, and for the end of a command
   * that is its last line and not in the background: the next block may need what it writes.
   */
  async run({ terminal: name, code }: Block, skip: (command: string) => boolean): Promise<void> {
    const terminal = this.#terminal(name)
    const lines = code.trimEnd().replaceAll(documented, "127.0.0.1").split("\n")
    let skipping = false
    for (const line of lines) {
      if (line.startsWith("$ ")) {
        skipping = skip(line.slice(2))
        // Standard input of a command is not the commands that follow.
        if (!skipping) terminal.shell.stdin.write(`{ ${line.slice(2)}\n} < /dev/null\n`)
      } else if (!skipping) await expectLine(terminal, line)
    }
    const last = lines.at(-1) ?? ""
    if (!last.startsWith("$ ") || last.endsWith("&")) return
    const finished = `finished-${(this.#finished += 1)}`
    terminal.shell.stdin.write(`echo ${finished}\n`)
    await expectLine(terminal, finished)
  }

  /** Waits until a terminal has shown a line, wherever it is in its output. */
  async shows(name: string, line: string): Promise<void> {
    const terminal = this.#terminal(name)
    await expectLine({ ...terminal, seen: 0, shell: terminal.shell }, line, () => terminal.output)
  }

  #terminal(name: string | undefined): Terminal {
    const open = this.#terminals.get(name)
    if (open !== undefined) return open
    const [kind, called = ""] = name?.split("=") ?? []
    const home = kind === "machine" ? path.join(this.#folder, "machines", called) : this.#folder
    mkdirSync(home, { recursive: true })
    const shell = spawn("bash", ["--norc"], {
      cwd: name === undefined ? root : home,
      env: {
        ...process.env,
        PATH: `${path.join(this.#folder, "bin")}:${process.env.PATH}`,
        HOME: home,
        XDG_CONFIG_HOME: path.join(home, ".config"),
        NO_COLOR: "1"
      },
      detached: true
    })
    const terminal: Terminal = { shell, output: "", seen: 0 }
    for (const stream of [shell.stdout, shell.stderr])
      stream.on("data", (chunk: Buffer) => (terminal.output += chunk.toString()))
    this.#terminals.set(name, terminal)
    return terminal
  }
}

/** Waits until the terminal shows the line after everything that was compared before. */
const expectLine = async (
  terminal: Terminal,
  line: string,
  output = () => terminal.output
): Promise<void> => {
  const pattern = new RegExp(
    line
      .split("…")
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
      .join(".*")
  )
  const deadline = Date.now() + patience
  for (;;) {
    const match = pattern.exec(output().slice(terminal.seen))
    if (match !== null) {
      terminal.seen += match.index + match[0].length
      return
    }
    if (Date.now() > deadline)
      throw new Error(`not shown: ${line}\nshown:\n${output().slice(terminal.seen)}`)
    await new Promise((done) => setTimeout(done, 20))
  }
}
