// The completion scripts in the real shells.
import { spawnSync } from "node:child_process"
import { describe, expect } from "vitest"
import { commandList } from "../../src/cli/commands/index.ts"
import { it, type Box } from "./Sealwire.ts"

const installed = (shell: string): boolean => spawnSync(shell, ["-c", "true"]).error === undefined
const [hasZsh, hasFish] = [installed("zsh"), installed("fish")]

const key = "sealwire1qypqxpq9qcrsszg2pvxq6rs0zqg3yyc5z5tpwxqergd3c8g7rusqjaylze"

/** Writes the script, peers and files; returns the variables of the shell. */
const prepare = async (box: Box, shell: string) => {
  const { code, stdout, stderr } = await box.run(["completions", shell])
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  box.write("script", stdout.toString())
  await box.runOther("mkdir", ["-p", "config/sealwire", "photos"])
  box.write("plan.txt", "")
  box.write(
    "config/sealwire/authorized_peers",
    `# ${key} nobody\n${key} alice\nfrom="10.0.0.0/8" ${key} bob\n`
  )
  box.write("config/sealwire/known_peers", `nas.example:8080 ${key} nas\n`)
  return { XDG_CONFIG_HOME: box.path("config"), TERM: "dumb" }
}

type Complete = (box: Box, line: string) => Promise<ReadonlyArray<string>>

const wordsOf = (text: string): ReadonlyArray<string> =>
  text
    .split(/[\r\n]+/)
    .map((line) => line.split("\t")[0]?.trim().replace(/\/$/, "") ?? "")
    .filter((word) => word !== "")
    .sort()

const inBash: Complete = async (box, line) => {
  const env = await prepare(box, "bash")
  const words = line.split(" ").map((word) => `'${word}'`)
  const code = `source ./script; COMP_WORDS=(${words.join(" ")}); COMP_CWORD=${words.length - 1}; _sealwire; printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout, stderr } = await box.runOther("bash", ["--norc", "-c", code], { env })
  // Without readline there is no current completion whose options could change.
  expect(stderr.replace(/.*compopt: .*\n/g, "")).toBe("")
  return wordsOf(stdout.toString())
}

const inFish: Complete = async (box, line) => {
  const env = { ...(await prepare(box, "fish")), HOME: box.cwd }
  const { stdout, stderr } = await box.runOther(
    "fish",
    ["--no-config", "-c", `source ./script; complete -C '${line}'`],
    { env }
  )
  expect(stderr).toBe("")
  return wordsOf(stdout.toString())
}

/** Asks an interactive zsh in a pseudo-terminal for the list of matches. */
const inZsh: Complete = async (box, line) => {
  const env = { ...(await prepare(box, "zsh")), HOME: box.cwd }
  box.write(
    "ask.zsh",
    [
      "zmodload zsh/zpty",
      "zpty z zsh -f -i",
      "zpty -w z 'PS1= PS2=; stty rows 200 columns 200; autoload -U compinit; compinit -u -D; source ./script'",
      // Prints each match on a line instead of inserting it.
      'zpty -w z \'compadd() { local -a m; builtin compadd -O m "$@"; print -rl -- MATCH:$^m >&2; builtin compadd "$@"; }\'',
      "zpty -w z 'zle -C ask complete-word _ask; _ask() { _main_complete; print END >&2; }; bindkey \"^I\" ask; print READY'",
      "zpty -r -m z out '*READY*READY*'",
      `zpty -n -w z $'${line}\\t'`,
      "zpty -r -m z out '*END*'",
      "print -r -- $out",
      "zpty -d z"
    ].join("\n")
  )
  const { stdout } = await box.runOther("timeout", ["20", "zsh", "-f", "./ask.zsh"], { env })
  return [
    ...new Set(
      [...stdout.toString().matchAll(/MATCH:(.+?)[\r\n]/g)].map(([, word = ""]) =>
        word.replace(/\/$/, "")
      )
    )
  ].sort()
}

const expected: ReadonlyArray<readonly [line: string, words: ReadonlyArray<string>]> = [
  ["sealwire pu", ["pubkey", "pull", "push"]],
  ["sealwire inbox r", ["retry"]],
  ["sealwire push --symlinks ", ["follow", "keep", "skip"]],
  ["sealwire completions ", ["bash", "fish", "zsh"]],
  ["sealwire push pl", ["plan.txt"]],
  ["sealwire pull x --into ph", ["photos"]],
  ["sealwire encrypt -r ", ["alice", "bob", "nas"]],
  ["sealwire send --peer ", ["nas"]],
  ["sealwire decrypt --sen", ["--sender"]]
]

const shells: ReadonlyArray<readonly [name: string, complete: Complete]> = [
  ["bash", inBash],
  ...(hasZsh ? [["zsh", inZsh] as const] : []),
  ...(hasFish ? [["fish", inFish] as const] : [])
]

describe("completions", () => {
  for (const [shell, complete] of shells)
    it.for(expected)(`of ${shell}: %s`, async ([line, words], { box }) => {
      const found = await complete(box, line)
      const last = line.split(" ").at(-1) ?? ""
      // A shell may filter the words itself.
      expect(found.filter((word) => word.startsWith(last))).toEqual(words)
    })

  it.runIf(hasZsh)("of zsh are valid syntax", async ({ box }) => {
    await prepare(box, "zsh")
    expect(await box.runOther("zsh", ["-n", "./script"])).toMatchObject({ code: 0, stderr: "" })
  })

  it.runIf(hasFish)("of fish describe each command", async ({ box }) => {
    const env = { ...(await prepare(box, "fish")), HOME: box.cwd }
    const { stdout } = await box.runOther(
      "fish",
      ["--no-config", "-c", "source ./script; complete -C 'sealwire '"],
      { env }
    )
    for (const { path, summary } of commandList.shown)
      if (path.length === 1) expect(stdout.toString()).toContain(`${path[0]}\t${summary}\n`)
  })

  it.for(["bash", "zsh", "fish"])(
    "of %s have every option and none that is refused",
    async (shell, { box }) => {
      const script = (await box.run(["completions", shell])).stdout.toString()
      for (const { options } of commandList.shown)
        for (const { name } of options) expect(script).toContain(name)
      expect(script).not.toMatch(/wizard/)
    }
  )

  it("are refused for an unknown shell, and as an option", async ({ box }) => {
    expect(await box.run(["completions", "tcsh"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('"tcsh" is not one of bash, zsh, fish')
    })
    expect((await box.run(["--completions", "bash"])).code).toBe(2)
  })
})
