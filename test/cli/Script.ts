// A test of the command as plain text: test/cli/scripts/README.md describes the format.
import { createHash } from "node:crypto"
import { chmodSync, cpSync, lstatSync, mkdirSync, statSync } from "node:fs"
import path from "node:path"
import { expect } from "vitest"
import { Secret } from "../../src/bytes/Secret.ts"
import { Identity } from "../../src/keys/KeyKind.ts"
import * as KeyPair from "../../src/keys/KeyPair.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import * as PublicKey from "../../src/keys/PublicKey.ts"
import type { Box, Running } from "./Sealwire.ts"

export interface Step {
  readonly line: number
  readonly text: string
  /** Undefined: the step must succeed. A number: the exit code that is expected. */
  readonly fails: "any" | number | undefined
  readonly words: ReadonlyArray<string>
  /** Lines of the expected output; `…` stands for anything. */
  readonly stdout: ReadonlyArray<string>
  readonly stderr: ReadonlyArray<string>
}

export interface Script {
  readonly steps: ReadonlyArray<Step>
  readonly files: ReadonlyArray<readonly [name: string, content: string]>
}

/** Splits a line into words; quotes keep spaces, and double quotes understand \n and \t. */
const wordsOf = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(/(?:"(?:\\.|[^"\\])*"|'[^']*'|[^\s"'])+/g)].map(([word]) =>
    word.replace(/"((?:\\.|[^"\\])*)"|'([^']*)'/g, (_, double?: string, single?: string) =>
      double === undefined
        ? (single ?? "").replaceAll("$", "\0")
        : double.replace(/\\(.)/g, (_, c: string) => ({ n: "\n", t: "\t" })[c] ?? c)
    )
  )

/** The steps whose output is compared, and those that may be expected to fail. */
const showing = new Set(["sealwire", "shows"])
const failing = new Set(["sealwire", "exec", "cmp", "exists"])

/** True if the step starts a command and goes on. */
const isStarted = (words: ReadonlyArray<string>): boolean => words.at(-1)?.startsWith("&") === true

/** Parses a script. Throws on text that is not a step, output of no step, or no step at all. */
export const parse = (text: string): Script => {
  const [body = "", ...sections] = text.split(/^-- (\S+) --\n/m)
  const steps: Array<Step & { stdout: Array<string>; stderr: Array<string> }> = []
  for (const [index, line] of body.split("\n").entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue
    const output = /^(2?)> ?(.*)$/.exec(line)
    if (output !== null) {
      const last = steps.at(-1)
      if (last === undefined || !showing.has(last.words[0] ?? "") || isStarted(last.words))
        throw new Error(`line ${index + 1}: output of no command`)
      last[output[1] === "2" ? "stderr" : "stdout"].push(output[2] ?? "")
      continue
    }
    const [, fails, code, rest = ""] = /^(!(\d*)\s+)?(.*)$/.exec(line) ?? []
    const words = wordsOf(rest)
    if (fails !== undefined && !failing.has(words[0] ?? ""))
      throw new Error(`line ${index + 1}: no such step can be expected to fail`)
    steps.push({
      line: index + 1,
      text: line,
      fails: fails === undefined ? undefined : code === "" ? "any" : Number(code),
      words,
      stdout: [],
      stderr: []
    })
  }
  if (steps.length === 0) throw new Error("a script without a step")
  const files: Array<readonly [string, string]> = []
  for (let at = 0; at < sections.length; at += 2)
    files.push([sections[at] ?? "", sections[at + 1] ?? ""])
  return { steps, files }
}

interface State {
  readonly box: Box
  readonly variables: Map<string, string>
  readonly env: Record<string, string>
  readonly running: Map<string, Running>
  stdin: Buffer | undefined
  /** Standard output of the last command. */
  stdout: Buffer
}

const textOf = (lines: ReadonlyArray<string>): string =>
  lines
    .map((line) => `${line}\n`)
    .join("")
    .replace(/\\c\n$/, "")

/** True if the output has exactly these lines; the one line `…` is any output. */
const hasLines = (shown: string, lines: ReadonlyArray<string>): boolean => {
  if (lines.length === 1 && lines[0] === "…") return true
  const pattern = textOf(lines)
    .split("…")
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
    .join(".*")
  return new RegExp(`^${pattern}$`).test(shown)
}

const expectLines = (shown: string, lines: ReadonlyArray<string>, stream: string) => {
  if (!hasLines(shown, lines)) expect(shown, stream).toBe(textOf(lines))
}

type Run = (state: State, args: ReadonlyArray<string>, step: Step) => Promise<void> | void

const sealwire: Run = async (state, args, step) => {
  const name = args.at(-1)
  const { box, env } = state
  const stdin = state.stdin
  state.stdin = undefined
  if (name !== undefined && isStarted(args)) {
    const running = box.start(args.slice(0, -1), { env, ...(stdin ? { stdin } : {}) })
    return void state.running.set(name.slice(1), running)
  }
  const { code, stdout, stderr } = await box.run(args, { env, ...(stdin ? { stdin } : {}) })
  state.stdout = stdout
  expectLines(stderr, step.stderr, "stderr")
  expectLines(stdout.toString(), step.stdout, "stdout")
  if (step.fails === "any") expect(code, "exit code").not.toBe(0)
  else expect(code, "exit code").toBe(step.fails ?? 0)
}

const named = (state: State, name = ""): Running => {
  const running = state.running.get(name)
  if (running === undefined) throw new Error(`no command is called ${name}`)
  return running
}

/** Succeeds or fails as the step says. */
const check = (step: Step, holds: boolean) => {
  if (holds === (step.fails !== undefined)) throw new Error(`not as expected: ${step.text}`)
}

const bytesOf = ({ box, stdout }: State, name = "") => (name === "stdout" ? stdout : box.read(name))

const edit = (state: State, name: string | undefined, change: (bytes: Buffer) => Buffer) => {
  const mode = statSync(state.box.path(name ?? "")).mode & 0o777
  state.box.write(name ?? "", change(state.box.read(name ?? "")), mode)
}

/** The steps of a script, by their first word. */
const steps: Readonly<Record<string, Run>> = {
  sealwire,
  exec: async (state, [program = "", ...args], step) => {
    const { code, stdout, stderr } = await state.box.runOther(program, args, { env: state.env })
    state.stdout = stdout
    expect([code, stderr]).toEqual([step.fails ?? 0, ""])
  },
  people: ({ box, variables }, names) => {
    for (const name of names) {
      const secret = new Secret(createHash("sha256").update(name).digest())
      const { publicKey } = KeyPair.fromPrivate(secret)
      box.write(`${name}.key`, KeyText.encode(Identity, secret))
      variables.set(name.toUpperCase(), PublicKey.encode(publicKey))
      variables.set(`${name.toUpperCase()}_FINGERPRINT`, PublicKey.fingerprint(publicKey))
    }
  },
  stdin: (state, [name]) => void (state.stdin = bytesOf(state, name)),
  env: ({ env }, args) => {
    for (const arg of args) env[arg.slice(0, arg.indexOf("="))] = arg.slice(arg.indexOf("=") + 1)
  },
  set: ({ variables, stdout }, [name = ""]) => void variables.set(name, stdout.toString().trim()),
  save: ({ box, stdout }, [name = ""]) => box.write(name, stdout),
  cmp: (state, [one, other], step) =>
    check(step, bytesOf(state, one).equals(bytesOf(state, other))),
  exists: ({ box }, names, step) => {
    for (const name of names)
      check(step, lstatSync(box.path(name), { throwIfNoEntry: false }) !== undefined)
  },
  files: ({ box }, names) => void expect(box.names).toEqual(names.toSorted()),
  mode: ({ box }, [mode = "", name = ""]) => void expect(box.mode(name).toString(8)).toBe(mode),
  chmod: ({ box }, [mode = "", name = ""]) => chmodSync(box.path(name), Number.parseInt(mode, 8)),
  mkdir: ({ box }, [name = ""]) => void mkdirSync(box.path(name), { recursive: true, mode: 0o700 }),
  cp: ({ box }, [from = "", to = ""]) => cpSync(box.path(from), box.path(to)),
  cut: (state, [name, bytes]) => edit(state, name, (all) => all.subarray(0, Number(bytes))),
  flip: (state, [name, at]) =>
    edit(state, name, (all) => {
      const changed = Buffer.from(all)
      const index = Number(at) < 0 ? all.length + Number(at) : Number(at)
      changed[index] = (changed[index] ?? 0) ^ 1
      return changed
    }),
  until: async (state, [name, text = ""]) => {
    await named(state, name).until(text, (it) =>
      `${it.stdout.toString()}${it.stderr}`.includes(text)
    )
  },
  shows: async (state, [name], step) => {
    await named(state, name).until(textOf(step.stdout), ({ stdout }) =>
      hasLines(stdout.toString(), step.stdout)
    )
  },
  stop: async (state, [name]) => {
    named(state, name).kill("SIGTERM")
    expect((await named(state, name).ended()).code).toBe(0)
  }
}

/** Replaces $NAME by the value of the variable. */
const expand = (text: string, { variables }: State): string =>
  text
    .replace(/\$([A-Z][A-Z0-9_]*)/g, (_, name: string) => {
      const value = variables.get(name)
      if (value === undefined) throw new Error(`no variable is called ${name}`)
      return value
    })
    .replaceAll("\0", "$")

/** Runs a script in a box; an error names its line. */
export const run = async (box: Box, { steps: all, files }: Script): Promise<void> => {
  for (const [name, content] of files) {
    mkdirSync(path.dirname(box.path(name)), { recursive: true, mode: 0o700 })
    box.write(name, content)
  }
  const state: State = {
    box,
    variables: new Map([["HOME", box.cwd]]),
    env: {},
    running: new Map(),
    stdin: undefined,
    stdout: Buffer.alloc(0)
  }
  for (const step of all) {
    try {
      const [name = "", ...args] = step.words.map((word) => expand(word, state))
      const runStep = steps[name]
      if (runStep === undefined) throw new Error(`unknown step: ${name}`)
      await runStep(state, args, {
        ...step,
        stdout: step.stdout.map((line) => expand(line, state)),
        stderr: step.stderr.map((line) => expand(line, state))
      })
    } catch (error) {
      throw new Error(`line ${step.line}: ${step.text}\n${(error as Error).message}`, {
        cause: error
      })
    }
  }
}
