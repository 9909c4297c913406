// A secret in the wrong place: no output of the command repeats it, nor a piece of it.
import { cpSync, mkdirSync } from "node:fs"
import { beforeAll, describe, expect } from "vitest"
import { Secret } from "../../src/bytes/Secret.ts"
import * as Command from "../../src/cli/arguments/CommandList.ts"
import { globalOptionsOf } from "../../src/cli/arguments/globalOptions.ts"
import { commandList } from "../../src/cli/commands/index.ts"
import * as KeyPair from "../../src/keys/KeyPair.ts"
import * as PublicKey from "../../src/keys/PublicKey.ts"
import { ruleOptions } from "../../src/services/builtin/index.ts"
import { sharedFolder } from "../fixtures/folder.ts"
import { sample, sampled } from "../fixtures/sample.ts"
import { secretForms } from "../fixtures/secrets.ts"
import { Hosted } from "./InProcess.ts"
import { it, within, type Box } from "./Sealwire.ts"

const forms = Object.entries(secretForms)
const pieceLength = 12

/** The parts of a secret that every secret of its form has. */
const publicParts =
  /-----[A-Z ]+-----|[A-Z]+(?:-[A-Z]+)*-1|^[a-z-]+1|# .*|"[a-z]+":|OKP|X25519|AAAAA+/gm

/** The pieces of the output that are pieces of the secret, in any case. */
const leaksOf = (secret: string, output: string): ReadonlyArray<string> => {
  const found = output.toLowerCase()
  return secret
    .split(publicParts)
    .flatMap((part) =>
      Array.from({ length: Math.max(0, part.length - pieceLength + 1) }, (_, start) =>
        part.slice(start, start + pieceLength)
      )
    )
    .filter((piece) => found.includes(piece.toLowerCase()))
}

/** No socket can be here, to connect to or to listen on. */
const nowhere = "unix:/nonexistent/socket"

/** Arguments without which a command runs for ever, or finds nothing to do. */
const completions: Readonly<Record<string, ReadonlyArray<string>>> = {
  serve: ["--listen", nowhere],
  "classic serve": ["--listen", nowhere],
  pair: ["--listen", nowhere, "--yes"],
  tunnel: ["--listen", nowhere, "--to", nowhere],
  pipe: ["--to", nowhere],
  send: ["--to", nowhere],
  "classic send": ["--to", nowhere],
  push: ["--to", nowhere],
  pull: ["--from", nowhere],
  encrypt: ["--file-key", "./file.key"],
  "inbox prune": ["--older", "1d"]
}

const without = (args: ReadonlyArray<string>, option: string): ReadonlyArray<string> => {
  const at = args.indexOf(option)
  return at < 0 ? args : args.toSpliced(at, 2)
}

/** The command lines with a secret in each place that a command has. */
const slotsOf = (command: (typeof commandList.commands)[number]) => {
  const path = command.path
  const more = completions[path.join(" ")] ?? []
  const operands = command.operands.length
  const ordinary = Array.from({ length: operands }, () => "./none")
  const options = [...command.options, ...globalOptionsOf(command)]
  return [
    ...options.flatMap(({ name: long, short, value }) => {
      const name = `--${long}`
      // After a letter without a value comes another letter, which may be one with a value.
      const next = value === undefined ? "." : ""
      const letter =
        short === undefined ? [] : [(secret: string) => [...path, `-${short}${next}${secret}`]]
      return value === undefined
        ? [(secret: string) => [...path, `${name}=${secret}`], ...letter]
        : [
            ...letter,
            (secret: string) => [...path, ...ordinary, ...without(more, name), name, secret],
            (secret: string) => [...path, ...ordinary, ...without(more, name), `${name}=${secret}`]
          ]
    }),
    ...Array.from({ length: operands + 2 }, (_, index) => (secret: string) => [
      ...path,
      ...more,
      "--",
      ...ordinary.slice(0, index),
      secret,
      ...ordinary.slice(index + 1)
    ]),
    (secret: string) => [...path, `--${secret}`],
    (secret: string) => [...path, ...more, ...secret.split(/\s+/)]
  ]
}

const run = async (
  box: Pick<Box, "cwd">,
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>> = {}
): Promise<string> => {
  const place = {
    cwd: box.cwd,
    env: { PATH: process.env.PATH, HOME: box.cwd, LC_ALL: "C.UTF-8", ...env }
  }
  const hosted = new Hosted(args, place, undefined)
  const ended = hosted.ended()
  try {
    const { stdout, stderr } = await within(ended, args.join(" "), 20_000)
    return `${stdout.toString()}${stderr}`
  } finally {
    await hosted.destroy()
  }
}

/** A folder with a key of each kind, made once. */
const prepared = sharedFolder()
beforeAll(async () => {
  for (const args of [
    ["keygen"],
    ["keygen", "identity"],
    ["keygen", "file-key", "-o", "./file.key"],
    ["classic", "keygen"]
  ])
    await run({ cwd: prepared }, args)
})
const prepare = (box: Box): void => cpSync(prepared, box.cwd, { recursive: true })

const expectNoLeak = async (
  box: Box,
  secret: string,
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>> = {}
): Promise<string> => {
  const output = await run(box, args, env)
  expect({ args, output, leaks: leaksOf(secret, output) }).toEqual({ args, output, leaks: [] })
  return output
}

/** Commands with standard input and output as sockets are not for this process. */
const hosted = commandList.commands.filter(({ path }) => path[0] !== "pipe")

describe("a secret as an argument", () => {
  it.for(hosted.map((command) => [command.path.join(" "), command] as const))(
    sampled("is not repeated by %s"),
    async ([, command], { box }) => {
      prepare(box)
      const modes = [[], ["--json"], ["--log-level=debug"]]
      const own = command.options.map(({ name }) => `--${name}`)
      let turn = command.path.join("").length
      for (const slot of sample(slotsOf(command), 6)) {
        // One form in each place: all of them would take minutes.
        const [, make] = forms[turn++ % forms.length] ?? []
        const secret = (await make?.()) ?? ""
        const mode = (modes[turn % modes.length] ?? []).filter(
          (word) => word !== "--json" || own.includes(word)
        )
        const [first = "", ...rest] = slot(secret)
        const path = command.path.length
        await expectNoLeak(box, secret, [
          ...[first, ...rest].slice(0, path),
          ...mode,
          ...[first, ...rest].slice(path)
        ])
      }
    }
  )

  it.for(forms)(sampled("is not repeated in any form: %s"), async ([name, make], { box }) => {
    prepare(box)
    // Inside other text a few words are like any others.
    const embedding = name.startsWith("a passphrase of words")
      ? []
      : [
          (secret: string) => ["fingerprint", `exec:echo '${secret}' >&2; exit 1`],
          (secret: string) => ["inspect", `/tmp/${secret}/x`]
        ]
    const lines = [
      (secret: string) => [secret],
      (secret: string) => ["peers", secret],
      (secret: string) => ["peers", "add", "x", secret],
      (secret: string) => ["peers", "show", secret],
      (secret: string) => ["peers", "list", "--authorized-peers", secret],
      (secret: string) => ["encrypt", "--recipient", secret, "--anonymous"],
      (secret: string) => ["decrypt", secret],
      (secret: string) => ["decrypt", `./${secret}`],
      (secret: string) => ["serve", "--key", secret, "--listen", nowhere],
      (secret: string) => ["send", "--to", secret],
      (secret: string) => ["send", "--to", `${secret}:8080`, "--key", "./sealwire.key", "x"],
      (secret: string) => ["send", "--peer", secret, "--to", nowhere],
      (secret: string) => ["push", secret, secret, "--to", nowhere],
      (secret: string) => ["check-config", secret],
      ...embedding
    ]
    for (const lineOf of sample(lines, 3)) {
      const secret = await make()
      await expectNoLeak(box, secret, lineOf(secret))
    }
  })

  it.for(
    sample(
      forms.filter(([name]) => !name.startsWith("a pass")),
      6
    )
  )(sampled("is not repeated from the output of a command: %s"), async ([, make], { box }) => {
    const secret = await make()
    box.write("k", secret)
    await expectNoLeak(box, secret, ["fingerprint", "exec:cat k >&2; exit 1"])
    await expectNoLeak(box, secret, ["fingerprint", "exec:cat k"])
  })

  it("is refused as a host before it is resolved", async ({ box }) => {
    const secret = secretForms.base64url?.() as string
    expect(await box.run(["send", "--to", `${secret}:8080`, "x"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(
        "its host may be a key; resolving it would publish it in the DNS"
      )
    })
  })

  it("is reported as exposed", async ({ box }) => {
    const secret = secretForms.base64url?.() as string
    expect((await box.run(["peers", "show", secret])).stderr).toBe(
      "sealwire: no peer (43 characters that may be a key; not repeated) in " +
        `${box.path(".config/sealwire/authorized_peers")}; list the peers: sealwire peers list; ` +
        "an argument may be a key, and other users can see arguments: if it is one, treat it as exposed and create a new one\n"
    )
  })

  it("is not what an ordinary argument is taken for", async ({ box }) => {
    expect((await box.run(["inspect", "/srv/My Files/Report (final).pdf"])).stderr).toBe(
      "sealwire: /srv/My Files/Report (final).pdf: no such file\n"
    )
  })
})

describe("a secret in a file", () => {
  const publicKey = PublicKey.encode(KeyPair.fromPrivate(Secret.random(32)).publicKey)
  const rules = ruleOptions().flatMap(({ name, example }) => (example === undefined ? [] : [name]))

  const lines: ReadonlyArray<(secret: string) => string> = [
    (secret) => secret,
    (secret) => `${secret} alice`,
    (secret) => `${publicKey} ${secret}`,
    (secret) => `${publicKey} alice ${secret}`,
    (secret) => `${secret} ${publicKey} alice`,
    (secret) => `${secret}="x" ${publicKey} alice`,
    ...rules.map((name) => (secret: string) => `${name}="${secret}" ${publicKey} alice`)
  ]

  it.for([[[]], [["--known"]]] as const)(
    sampled("of peers is not repeated: %j"),
    async ([flags], { box }) => {
      // As a name, words with dashes are like any other name.
      const keys = forms.filter(([name]) => name !== "a passphrase of words with dashes")
      let turn = 0
      for (const line of sample(lines, 6))
        for (let count = 0; count < 2; count++) {
          const secret = (await keys[turn++ % keys.length]?.[1]()) ?? ""
          box.write("peers", `${line(secret)}\n`)
          const output = await expectNoLeak(box, secret, [
            "peers",
            "list",
            "--authorized-peers",
            "./peers",
            ...flags
          ])
          expect(output).not.toBe("")
        }
    }
  )

  it(sampled("of recipients is not repeated"), async ({ box }) => {
    prepare(box)
    for (const [, make] of sample(forms, 5)) {
      const secret = await make()
      box.write("team", `${secret}\n`)
      await expectNoLeak(box, secret, [
        "encrypt",
        "--recipient",
        "./team",
        "-o",
        "./x",
        "./file.key"
      ])
    }
  })

  const configurable = Command.findCommand(commandList, ["serve"])
  const keys = configurable?.options.map(({ name }) => name) ?? []
  it(sampled("of options is not repeated"), async ({ box }) => {
    let turn = 0
    const texts = [
      ...keys.map((key) => (value: string) => `${key} = ${value}`),
      (value: string) => `${value} = "x"`,
      (value: string) => `listen = [${value}, ${value}]`,
      (value: string) => value,
      (value: string) => `[${value}]`,
      (value: string) => `listen = ${value.slice(1, -1)}`
    ]
    for (const text of sample(texts, 8))
      for (let count = 0; count < 2; count++) {
        const secret = (await forms[turn++ % forms.length]?.[1]()) ?? ""
        box.write("c.toml", `${text(JSON.stringify(secret))}\n`)
        await expectNoLeak(box, secret, ["check-config", "./c.toml"])
      }
  })

  it(sampled("of a key is not repeated"), async ({ box }) => {
    for (const [, make] of sample(forms, 5)) {
      const secret = await make()
      box.write("k", secret)
      for (const args of [
        ["fingerprint", "./k"],
        ["classic", "send", "--key", "./k", "--to", nowhere],
        ["inspect", "./k"],
        ["decrypt", "./k"]
      ])
        await expectNoLeak(box, secret, args)
    }
  })
})

describe("a secret in a variable", () => {
  it.for(sample(forms, 5))(sampled("is not repeated: %s"), async ([, make], { box }) => {
    mkdirSync(box.path("home"))
    for (const [name, args] of [
      ["MINE", ["fingerprint", "env:MINE"]],
      ["MINE", ["classic", "send", "--key", "env:MINE", "--to", nowhere]],
      ["MINE", ["inbox", "list", "--inbox", "env:MINE"]],
      ["XDG_CONFIG_HOME", ["pubkey"]],
      ["XDG_CONFIG_HOME", ["peers", "list", "--json"]],
      ["CREDENTIALS_DIRECTORY", ["fingerprint", "cred:k"]],
      ["TMPDIR", ["push", "-", "--as", "x", "--to", nowhere]]
    ] as const) {
      const secret = await make()
      await expectNoLeak(box, secret, args, { [name]: secret })
    }
  })
})
