// Every command with a closed standard output and with a full disk as one: nobody is told that what
// was not written was done.
import { existsSync } from "node:fs"
import { expect } from "vitest"
import { sample, sampled } from "../fixtures/sample.ts"
import { commandList } from "../../src/cli/commands/index.ts"
import { bin, it, type Box } from "./Sealwire.ts"

/** Runs a command with a redirection of standard output. */
const redirected = (box: Box, args: string, redirection: string) =>
  box
    .startOther("sh", ["-c", `exec "$0" "$1" ${args} ${redirection}`, process.execPath, bin])
    .ended()

const withOption = commandList.shown
  .filter(({ options }) => options.some(({ name }) => name === "json"))
  .map(({ path }) => path.join(" "))
const withJson = sample(withOption, 8)

it.skipIf(!existsSync("/proc/self/fd")).for(withJson)(
  sampled("%s --json does nothing without a standard output"),
  async (name, { box }) => {
    const { code, stderr } = await redirected(box, `${name} --json`, ">&-")
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining("standard output is closed, and the data would be lost")
    ])
    expect(box.names).toEqual([])
  }
)

/**
 * The needs of each command that ends by itself, whether the others ran or not; undefined:
 * it writes no result.
 */
const runs: Readonly<Record<string, string | undefined>> = {
  send: "--to unix:./s --key ./sealwire.key text",
  push: "./x --to unix:./s --key ./sealwire.key",
  pull: "there --from unix:./s --key ./sealwire.key --into ./into",
  "inbox list": "--inbox ./i.db",
  "inbox show": "$id --inbox ./i.db",
  "inbox take": "--inbox ./i.db",
  "inbox done": undefined,
  "inbox retry": "$id --inbox ./i.db",
  "inbox prune": "--older 30d --inbox ./i.db",
  encrypt: "./x --file-key ./sealwire-file.key -o ./y",
  decrypt: "./x.sealed --file-key ./sealwire-file.key -o ./z",
  rekey: "./r.sealed --identity ./me.key --recipient ./recipients",
  keygen: "-o ./new.key",
  pubkey: "",
  "peers list": "--authorized-peers ./p",
  "peers show": "alice --authorized-peers ./p",
  "peers add": "bob $key2 --authorized-peers ./p",
  "peers rename": "alice alina --authorized-peers ./p",
  "peers revoke": "carol --authorized-peers ./p",
  "peers remove": "dave --authorized-peers ./p",
  fingerprint: "$key",
  "keys protect": "./me.key",
  "keys unprotect": "./locked.key",
  "keys rotate": "",
  inspect: "./x.sealed",
  status: "./c",
  "check-config": "./serve.toml",
  completions: "bash",
  help: "",
  "classic keygen": "-o ./classic.key"
}
/** Commands that wait for others. */
const waiting = ["serve", "tunnel", "pipe", "inbox work", "pair", "classic serve", "classic send"]

it("every command is in one of the two lists", () => {
  expect([...Object.keys(runs), ...waiting].toSorted()).toEqual(
    commandList.shown.map(({ path }) => path.join(" ")).toSorted()
  )
})

const env = { SEALWIRE_PASSPHRASE: "x" }

/** Makes what the commands of `runs` need; returns the values of their variables. */
const furnish = async (box: Box): Promise<Readonly<Record<string, string>>> => {
  const run = async (args: string) => {
    const ended = await box.run(args.split(" "))
    expect([args, ended.code, ended.stderr]).toEqual([args, 0, expect.anything()])
    return ended.stdout.toString().trim()
  }
  for (const kind of ["", " identity", " file-key"]) await run(`keygen${kind}`)
  for (const name of ["me", "other", "carol", "dave"]) await run(`keygen identity -o ./${name}.key`)
  await run("keygen identity -o ./locked.key")
  expect((await box.run(["keys", "protect", "./locked.key"], { env })).code).toBe(0)
  const [key, key2] = [
    await run("pubkey --identity ./me.key"),
    await run("pubkey --identity ./other.key")
  ]
  box.write("recipients", `${key} me\n`)
  await run(`peers add alice ${key} --authorized-peers ./p`)
  for (const name of ["carol", "dave"])
    await run(
      `peers add ${name} ${await run(`pubkey --identity ./${name}.key`)} --authorized-peers ./p`
    )
  box.write("x", "text")
  await run("encrypt ./x --file-key ./sealwire-file.key -o ./x.sealed")
  await run("encrypt ./x --recipient ./recipients -o ./r.sealed")
  box.write("serve.toml", 'listen = "127.0.0.1:0"')
  for (const folder of ["store", "into"]) await box.runOther("mkdir", [folder])
  box.write("store/there", "text")
  const serving = "--listen unix:./s --key ./sealwire.key --inbox ./i.db --files ./store"
  await box.listen(`serve ${serving} --control ./c`.split(" "), { process: true })
  await run("send --to unix:./s --key ./sealwire.key kept")
  const listed = await run("inbox list --inbox ./i.db --json")
  return { $id: String((JSON.parse(listed) as { id: unknown }).id), $key: key, $key2: key2 }
}

it.skipIf(process.platform !== "linux")(
  sampled("every command fails when it cannot write its result"),
  async ({ box }) => {
    const variables = await furnish(box)
    const wrong: Array<unknown> = []
    for (const [name, args] of sample(Object.entries(runs), 10)) {
      if (args === undefined) continue
      const given = args.replaceAll(/\$\w+/g, (variable) => variables[variable] ?? "")
      const command = `${name} ${given}${withOption.includes(name) ? " --json" : ""}`
      const full = await box
        .startOther("sh", ["-c", `exec "$0" "$1" ${command} > /dev/full`, process.execPath, bin], {
          env
        })
        .ended()
      if (full.code !== 2 || !full.stderr.includes("cannot write standard output (ENOSPC)"))
        wrong.push([command, full])
    }
    expect(wrong).toEqual([])
  }
)
