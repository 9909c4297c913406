// Programs that copy files to another machine, here the same one: a server, and one command per
// copy.
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, rmSync, writeFileSync, readFileSync } from "node:fs"
import path from "node:path"
import { find, start } from "../programs.ts"
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
  if (!ssh.prepare(folder)) throw new Error("sshd does not run here")
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

/**
 * The copies of what `source` creates, into an empty folder and on a disk at rest; one figure, the
 * seconds of one copy.
 */
export const copying = (
  folder: string,
  source: () => string
): { readonly present: ReadonlyArray<Contestant>; readonly absent: ReadonlyArray<string> } => {
  const present = copiers.filter(({ needs }) =>
    needs.every((program) => find(program) !== undefined)
  )
  return {
    present: present.map(({ name, open }, index) => {
      const target = path.join(folder, `target${index}`)
      let opened: ReturnType<Copier["open"]> | undefined
      return {
        name,
        measure: async () => {
          mkdirSync(target, { recursive: true })
          const line = await (opened ??= open({ folder, target }))
          const from = source()
          rmSync(path.join(target, path.basename(from)), { recursive: true, force: true })
          spawnSync("sync")
          const [program, args] = line(from, target)
          const began = performance.now()
          const child = spawn(program, args, { stdio: ["ignore", "ignore", "ignore"] })
          const [code] = (await once(child, "exit")) as [number | null]
          if (code !== 0) throw new Error(`${name} ended with ${code}`)
          const seconds = (performance.now() - began) / 1000
          rmSync(path.join(target, path.basename(from)), { recursive: true, force: true })
          return [seconds]
        }
      }
    }),
    absent: copiers.filter((copier) => !present.includes(copier)).map(({ name }) => name)
  }
}
