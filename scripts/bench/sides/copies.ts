// Programs that copy files to another machine, here the same one: a server, and one command per
// copy.
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdirSync, rmSync, writeFileSync, readFileSync } from "node:fs"
import path from "node:path"
import { missingPrograms, start } from "../programs.ts"
import type { Contestant } from "../Row.ts"
import { ssh } from "./ssh.ts"
import { freePort, listens } from "./tunnel.ts"

const command = path.resolve(import.meta.dirname, "../../../dist/sealwire.js")

/** A program that copies `source`, a file or a folder, into the folder `target`. */
interface Copier {
  readonly name: string
  readonly needs: ReadonlyArray<string>
  /** Starts the server; returns a function for the command line of one copy. */
  readonly open: (
    place: Place
  ) => Promise<(source: string, target: string) => readonly [string, ReadonlyArray<string>]>
}

interface Place {
  /** The folder of keys and configuration. */
  readonly folder: string
  readonly target: string
}

/** The ssh options of scp and rsync. */
const overSsh = async (
  folder: string
): Promise<{ readonly port: number; readonly options: ReadonlyArray<string> }> => {
  const missing = ssh.missing(folder)
  if (missing !== undefined) throw new Error(missing)
  const port = await freePort()
  const [program, args] = ssh.server({ from: port, to: port, sink: port, folder })
  start(program, [...args, "-o", "Subsystem=sftp internal-sftp"])
  await listens(port, program)
  const known = path.join(folder, `known_${port}`)
  writeFileSync(
    known,
    `[127.0.0.1]:${port} ${readFileSync(path.join(folder, "ssh_host.pub"), "utf8")}`
  )
  const given = [
    "StrictHostKeyChecking=yes",
    "IdentitiesOnly=yes",
    "BatchMode=yes",
    `UserKnownHostsFile=${known}`,
    "Ciphers=aes128-gcm@openssh.com"
  ]
  return {
    port,
    options: [
      "-F",
      "none",
      "-i",
      path.join(folder, "ssh_client"),
      ...given.flatMap((option) => ["-o", option])
    ]
  }
}

const copiers: ReadonlyArray<Copier> = [
  {
    name: "sealwire push",
    needs: [],
    open: async ({ folder, target }) => {
      const key = path.join(folder, "files.key")
      rmSync(key, { force: true })
      spawnSync(process.execPath, [command, "keygen", "-o", key], { stdio: "ignore" })
      const port = await freePort()
      // The standard output of the server is not an inbox.
      const inbox = ["--inbox", "exec:true"]
      const serve = [
        "serve",
        "--listen",
        `127.0.0.1:${port}`,
        "--key",
        key,
        "--files",
        target,
        ...inbox,
        "--log-level",
        "error"
      ]
      start(process.execPath, [command, ...serve])
      await listens(port, "sealwire serve")
      return (source) => [
        process.execPath,
        [command, "push", source, "--to", `127.0.0.1:${port}`, "--key", key]
      ]
    }
  },
  {
    name: "scp",
    needs: ["sshd", "ssh", "scp"],
    open: async ({ folder }) => {
      const { port, options } = await overSsh(folder)
      return (source, target) => [
        "scp",
        ["-q", "-r", "-p", ...options, "-P", String(port), source, `127.0.0.1:${target}/`]
      ]
    }
  },
  {
    name: "rsync over ssh",
    needs: ["sshd", "ssh", "rsync"],
    open: async ({ folder }) => {
      const { port, options } = await overSsh(folder)
      return (source, target) => [
        "rsync",
        ["-a", "-e", ["ssh", "-p", port, ...options].join(" "), source, `127.0.0.1:${target}/`]
      ]
    }
  },
  {
    name: "rsync --fsync over ssh",
    needs: ["sshd", "ssh", "rsync"],
    open: async ({ folder }) => {
      const { port, options } = await overSsh(folder)
      return (source, target) => [
        "rsync",
        [
          "-a",
          "--fsync",
          "-e",
          ["ssh", "-p", port, ...options].join(" "),
          source,
          `127.0.0.1:${target}/`
        ]
      ]
    }
  }
]

/** What is copied, and where. */
export interface Copies {
  /** Returns the folder of the keys and the copies. */
  readonly folder: () => string
  /** Returns the file or folder that is copied. */
  readonly source: () => string
  /** True to copy what an earlier copy has put there. */
  readonly isUnchanged: boolean
}

/**
 * The copiers. Each copies into an empty folder, or over its own earlier copy, on a disk at rest;
 * one figure, the seconds of one copy.
 */
export const copying = ({ folder, source, isUnchanged }: Copies): ReadonlyArray<Contestant> =>
  copiers.map(({ name, needs, open }, index) => {
    let opened: ReturnType<Copier["open"]> | undefined
    return {
      name,
      missing: () => missingPrograms(needs),
      measure: async () => {
        const target = path.join(folder(), `target${index}`)
        mkdirSync(target, { recursive: true })
        const line = await (opened ??= open({ folder: folder(), target }))
        const from = source()
        const copy = async () => {
          spawnSync("sync")
          const [program, args] = line(from, target)
          const began = performance.now()
          const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] })
          let errors = ""
          child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text))
          const [code] = (await once(child, "close")) as [number | null]
          if (code !== 0)
            throw new Error(`${name} ended with ${code}: ${errors.trim().split("\n").at(-1)}`)
          return (performance.now() - began) / 1000
        }
        const copied = path.join(target, path.basename(from))
        if (isUnchanged && !existsSync(copied)) await copy()
        const seconds = await copy()
        if (!isUnchanged) rmSync(copied, { recursive: true, force: true })
        return [seconds]
      }
    }
  })
