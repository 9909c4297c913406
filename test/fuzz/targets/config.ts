// Configuration files (TOML) of the command `serve`, and of `tunnel` with its tables.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { expandConfig } from "../../../src/cli/arguments/Config.ts"
import { commandList } from "../../../src/cli/commands/index.ts"
import { findCommand } from "../../../src/cli/arguments/CommandList.ts"
import { check, outcomeOf, type Target } from "../Target.ts"

let folder: string | undefined

/** The one file that every run writes anew. */
const fileOf = (): string => {
  if (folder === undefined) {
    const made = mkdtempSync(path.join(tmpdir(), "sealwire-fuzz-"))
    process.once("exit", () => rmSync(made, { recursive: true, force: true }))
    folder = made
  }
  return path.join(folder, "sealwire.toml")
}

const expand = async (command: string, file: string): Promise<string> => {
  const result = await Effect.runPromise(
    Effect.either(expandConfig(commandList, [command, "--config", file]))
  )
  if (Either.isLeft(result)) {
    const { where, detail } = result.left
    check(where.startsWith(file), `an error without its file: ${where}`)
    // A message of one line, without control characters that a terminal obeys.
    check(!/[\u0000-\u001f\u007f]/.test(detail), JSON.stringify(detail))
    return outcomeOf(detail.replace(/^[\w-]+ must/, "… must"))
  }
  const { args, locations, tables } = result.right
  const spec = findCommand(commandList, [command])
  const known = new Set(spec?.options.map(({ name }) => `--${name}`))
  for (const line of [args, ...tables.map((table) => table.args)]) {
    check(line[0] === command, "another command")
    for (const word of line.slice(1)) {
      const name = word.split("=", 1)[0] ?? ""
      check(
        known.has(name) || name === "--log-level" || word === file,
        `not an option: ${JSON.stringify(word)}`
      )
    }
  }
  return `${Math.min(args.length, 6)} ${Math.min(locations.size, 3)} ${Math.min(tables.length, 2)}`
}

const serve = `# a server
listen = ["127.0.0.1:8080", "[::1]:8080"]
services = "messages"
json = true
"connections" = 4
`
const tunnel = `config-comment = ''
identity = "file:identity.key"
[[tunnel]]
listen = "127.0.0.1:1"
to = "mail.example:8080"
[[tunnel]]
listen = """
a"""
`

export const config: Target = {
  maxBytes: 1500,
  seeds: () => [Buffer.from(serve), Buffer.from(tunnel), Buffer.from("a = 1979-05-27T07:32:00Z")],
  words: [
    "[[tunnel]]\n",
    "__proto__",
    "constructor",
    "toString",
    "config",
    "listen = ",
    "json = true\n",
    "identity = ",
    "[",
    "{ ",
    "1e999",
    "inf",
    "nan",
    "0x_",
    "'''",
    '"\\u0000"',
    "= [1, 'a', 2.5]",
    "--"
  ],
  run: async (input) => {
    const file = fileOf()
    writeFileSync(file, input, { mode: 0o600 })
    return `${await expand("serve", file)}; ${await expand("tunnel", file)}`
  }
}
