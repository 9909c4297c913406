// check-config refuses what the command itself refuses because of its options, with the same
// sentence, and nothing else. Each option of each command is tried with many values; the command
// cannot start, because its address is in a folder that there is not.
import { describe, expect } from "vitest"
import { Secret } from "../../src/bytes/Secret.ts"
import { serve } from "../../src/cli/commands/serve.ts"
import { tunnel } from "../../src/cli/commands/tunnel.ts"
import { SharedKey } from "../../src/keys/KeyKind.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import { sample, sampled } from "../fixtures/sample.ts"
import { it, type Box } from "./Sealwire.ts"

const file = "./sealwire.toml"

/** Errors of the options alone. Others are about the machine: a key, a folder, an address. */
const ofOptions = new Set(["Usage", "ConfigInvalid", "OptionsConflict", "AddressInvalid"])

interface Failure {
  readonly code: string
  readonly message: string
  readonly exit: number
}

/** The error of a command, as --json prints it; undefined if it had none. */
const failureOf = async (box: Box, args: ReadonlyArray<string>): Promise<Failure | undefined> => {
  const { stderr } = await box.run([...args, "--json"])
  const last = stderr.trimEnd().split("\n").at(-1) ?? ""
  if (!last.startsWith('{"event":"error"')) return undefined
  const failure = JSON.parse(last) as Failure
  // Each command names its own help.
  return { ...failure, message: failure.message.replace(/; see: sealwire [a-z -]+--help$/, "") }
}

const long = "a".repeat(120)
const keyText = KeyText.encode(SharedKey, Secret.random(32))

/** Values for any option, as TOML. */
const values: ReadonlyArray<string> = [
  '""',
  '"x"',
  '"a b"',
  '"0"',
  '"-1"',
  '"1"',
  '"99999999999"',
  '"1e3"',
  '"30d"',
  '"2027-01-01"',
  '"10M"',
  '":9100"',
  '"0.0.0.0:9100"',
  '"203.0.113.1:22"',
  `"/tmp/${long}"`,
  `"unix:${long}"`,
  '"fd:x"',
  '"-"',
  '"a=127.0.0.1:1"',
  '"a=203.0.113.1:1"',
  `"a=/tmp/${long}"`,
  '"=x"',
  '["a=127.0.0.1:1", "a=127.0.0.1:2"]',
  '"exec: "',
  '"exec:cat"',
  '"postgres://me@host/db?sslmode=maybe"',
  '"block:0"',
  '"\\u0000"',
  "true",
  "false",
  "7",
  "1.5",
  "[]",
  "[[1]]",
  "2027-01-01",
  "{ a = 1 }"
]

/** Values with which a command would start, and not end. */
const startable: ReadonlyArray<readonly [option: string, value: string]> = [
  ["listen", '":9100"'],
  ["listen", '"0.0.0.0:9100"'],
  ["listen", '"-"'],
  // None: the default address.
  ["listen", "[]"]
]

/** Options that are wrong only together. */
const combinations: Readonly<Record<string, ReadonlyArray<string>>> = {
  serve: [
    'retire-at = "2027-01-01"',
    'retiring-identity = "./old.key"',
    'inbox = "./i.db"\nexec-timeout = "1s"',
    'inbox = "./i.db"\nexec-concurrency = 2',
    'inbox = "exec:cat"\nexec-concurrency = 2',
    'exec-timeout = "1s"',
    'inbox = "postgres://me:secret@host/db"',
    'forward = "a=127.0.0.1:1"\nproxy-protocol = "b"',
    'proxy-protocol = "a"',
    'forward = ["a=127.0.0.1:1", "a=127.0.0.1:2"]',
    'forward = "a=203.0.113.1:1"\nunsafe-forward-in-clear = true',
    "unsafe-forward-in-clear = true",
    'tunnel-idle = "1s"',
    'metrics = "0.0.0.0:9100"\nunsafe-metrics-to-anyone = true',
    'key = ["a=./k1", "a=./k2"]',
    'key = ["./k1", "./k2"]',
    'nonsense = "1"',
    "listen = [",
    '[[tunnel]]\nlisten = ":1"',
    'log-level = "loud"'
  ],
  tunnel: [
    'accept-new = true\npeer = "x"',
    'listen = "0.0.0.0:0"',
    '[[tunnel]]\nlisten = ":1"\n[[tunnel]]\nlisten = ":1"',
    '[[tunnel]]\nlisten = ":1"\nmetrics = ":2"',
    '[[tunnel]]\nlisten = "0.0.0.0:0"',
    '[[tunnel]]\nlisten = ":x"',
    '[[tunnel]]\nto = ":1"',
    'metrics = "0.0.0.0:9100"\n[[tunnel]]\nlisten = ":1"',
    '[tunnel]\nlisten = ":1"',
    'log-level = "loud"'
  ]
}

/** What the command needs to get as far as its address. */
const bases: Readonly<Record<string, string>> = {
  serve: 'listen = "/nowhere/s.sock"\nkey = "./shared.key"\n',
  tunnel: 'listen = "/nowhere/s.sock"\nto = "127.0.0.1:1"\nkey = "./shared.key"\n'
}

/** The configurations: one more option, in place of that of the base, or a combination. */
const configurations = (name: string, spec: typeof serve): ReadonlyArray<string> => {
  const base = (bases[name] ?? "").trimEnd().split("\n")
  const with_ = (text: string) => {
    const given = [...text.matchAll(/^([a-z-]+) *=/gm)].map(([, key]) => key)
    return [...base.filter((line) => !given.includes(line.split(" ", 1)[0])), text].join("\n")
  }
  const options = spec.options.map(({ name }) => name).filter((option) => option !== "config")
  expect(options.length).toBeGreaterThan(10)
  return [
    ...sample(
      options.flatMap((option) =>
        values
          .filter((value) => !startable.some(([one, other]) => one === option && other === value))
          .map((value) => with_(`${option} = ${value}`))
      ),
      60
    ),
    ...(combinations[name] ?? []).map(with_)
  ]
}

describe.each([
  ["serve", serve],
  ["tunnel", tunnel]
] as const)("check-config --for %s", (name, spec) => {
  it(
    sampled("refuses what the command refuses, and nothing else"),
    { timeout: 240_000 },
    async ({ box }) => {
      let [refused, accepted] = [0, 0]
      for (const config of configurations(name, spec)) {
        // Each starts anew: the command may have created the key.
        box.write("shared.key", keyText)
        box.write(file, `${config}\n`)
        const checked = await failureOf(box, ["check-config", file, "--for", name])
        // A configuration may set json itself.
        const started = await failureOf(box, [name, "--config", file])
        expect([config, started === undefined]).toEqual([config, false])
        const expected = ofOptions.has(started?.code ?? "") ? started : undefined
        expect([config, checked]).toEqual([config, expected])
        if (checked === undefined) accepted++
        else refused++
      }
      expect(refused).toBeGreaterThan(20)
      expect(accepted).toBeGreaterThan(10)
    }
  )
})
