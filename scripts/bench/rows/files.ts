import { spawn, spawnSync } from "node:child_process"
import { createCipheriv, randomBytes } from "node:crypto"
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeSync
} from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { missingPackages } from "../packages.ts"
import { missingPrograms } from "../programs.ts"
import type { Contestant, Row } from "../Row.ts"

const command = path.resolve(import.meta.dirname, "../../../dist/sealwire.js")
const typage = path.resolve(import.meta.dirname, "../typage.mjs")
const bytes = 2 ** 30

/**
 * In memory if possible: a slow disk, or one that only some programs flush, would hide their speed.
 */
let folder: string | undefined
const at = (name: string): string => {
  if (folder === undefined) {
    const made = mkdtempSync(
      path.join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "sealwire-bench-")
    )
    folder = made
    process.on("exit", () => rmSync(made, { recursive: true, force: true }))
    prepare()
  }
  return path.join(folder, name)
}

/** Creates the input, 1 GiB of random bytes, and a key for each program. */
const prepare = () => {
  const noise = createCipheriv("aes-128-ctr", randomBytes(16), randomBytes(16))
  const file = openSync(at("plain"), "w")
  for (let written = 0; written < bytes; written += 2 ** 20)
    writeSync(file, noise.update(Buffer.alloc(2 ** 20)))
  closeSync(file)
  spawnSync(process.execPath, [command, "keygen", "file-key", "-o", at("sealwire.key")])
  spawnSync("age-keygen", ["-o", at("age.key")])
}

/** The speed from file to file in GB/s, and the peak memory in MiB. */
const run = (
  program: string,
  args: ReadonlyArray<string>,
  output: string
): Promise<ReadonlyArray<number>> =>
  new Promise((resolve, reject) => {
    if (existsSync(output)) unlinkSync(output)
    const start = performance.now()
    const child = spawn(program, args, { stdio: ["ignore", "ignore", "inherit"] })
    let memory = 0
    const look = setInterval(() => {
      try {
        memory = Number(
          /VmHWM:\s*(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1] ?? memory
        )
      } catch {
        // The process has ended.
      }
    }, 10)
    child.once("error", reject)
    child.once("exit", (code) => {
      clearInterval(look)
      const seconds = (performance.now() - start) / 1000
      if (code === 0) resolve([bytes / 1e9 / seconds, memory / 1024])
      else reject(new Error(`${program} ${args.join(" ")} exited with ${code}`))
    })
  })

const ageRecipient = (): string => /age1\w+/.exec(readFileSync(at("age.key"), "utf8"))?.[0] ?? ""
const ctr = ["enc", "-aes-256-ctr", "-K", "00".repeat(32), "-iv", "00".repeat(16)]

interface Program {
  readonly name: string
  /** The prefix of this program's files. */
  readonly prefix: string
  readonly packages?: ReadonlyArray<string>
  /** Programs that it needs, other than Node. */
  readonly needs: ReadonlyArray<string>
  readonly program: string
  readonly encrypt: () => ReadonlyArray<string>
  readonly decrypt: () => ReadonlyArray<string>
}

const programs: ReadonlyArray<Program> = [
  {
    name: "sealwire",
    prefix: "sealwire",
    needs: [],
    program: process.execPath,
    encrypt: () => [
      command,
      "encrypt",
      at("plain"),
      "--file-key",
      at("sealwire.key"),
      "-o",
      at("sealwire.sealed")
    ],
    decrypt: () => [
      command,
      "decrypt",
      at("sealwire.sealed"),
      "--file-key",
      at("sealwire.key"),
      "-o",
      at("sealwire.out")
    ]
  },
  {
    name: "age",
    prefix: "age",
    needs: ["age", "age-keygen"],
    program: "age",
    encrypt: () => ["-e", "-r", ageRecipient(), "-o", at("age.sealed"), at("plain")],
    decrypt: () => ["-d", "-i", at("age.key"), "-o", at("age.out"), at("age.sealed")]
  },
  {
    name: "openssl enc -aes-256-ctr",
    prefix: "openssl",
    needs: ["openssl"],
    program: "openssl",
    encrypt: () => [...ctr, "-in", at("plain"), "-out", at("openssl.sealed")],
    decrypt: () => [...ctr, "-d", "-in", at("openssl.sealed"), "-out", at("openssl.out")]
  },
  {
    name: "typage",
    prefix: "typage",
    packages: ["age-encryption"],
    needs: ["age-keygen"],
    program: process.execPath,
    encrypt: () => [typage, "encrypt", at("age.key"), at("plain"), at("typage.sealed")],
    decrypt: () => [typage, "decrypt", at("age.key"), at("typage.sealed"), at("typage.out")]
  }
]

const row = (direction: "encrypt" | "decrypt"): Row => ({
  figures: [
    { name: `files: ${direction} 1 GiB`, unit: "GB/s", better: "higher" },
    { name: `files: memory to ${direction} 1 GiB`, unit: "MiB", better: "lower" }
  ],
  rounds: 5,
  contestants: programs.map((each): Contestant => ({
    name: each.name,
    missing: () => missingPackages(each.packages ?? []) ?? missingPrograms(each.needs),
    measure: async () => {
      const prefix = at(each.prefix)
      const sealed = `${prefix}.sealed`
      // Decryption needs a file that the same program encrypted.
      if (direction === "decrypt" && !existsSync(sealed))
        await run(each.program, each.encrypt(), sealed)
      const output = direction === "encrypt" ? sealed : `${prefix}.out`
      const figures = await run(each.program, each[direction](), output)
      if (direction === "decrypt") unlinkSync(output)
      return figures
    }
  }))
})

/** Encryption of files at rest, compared with common programs. */
export const fileRows: ReadonlyArray<Row> = [row("encrypt"), row("decrypt")]
