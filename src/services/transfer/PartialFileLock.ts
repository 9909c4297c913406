// Lets one session at a time write a partial file, among all processes that use the folder: also in
// other containers, and on other machines. Node has no flock(2). Each session puts a Unix socket
// with a unique name into the folder and then lists the others of the same file: if none is alive,
// it has the lock; otherwise it removes its own and tries again. The kernel refuses connections to
// the socket of a process that has ended, however it ended, so its lock is free at once. A stale
// name is never used again, so that removing it cannot hit another lock.
import { createHash, randomBytes } from "node:crypto"
import {
  lstatSync,
  openSync,
  closeSync,
  readFileSync,
  renameSync,
  unlinkSync,
  utimesSync
} from "node:fs"
import { connect, createServer, type Server } from "node:net"
import { hostname } from "node:os"
import { setTimeout as sleep } from "node:timers/promises"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { limits } from "./limits.ts"
import { forEachName } from "./Listing.ts"
import * as Names from "./Names.ts"
import type { SafeDirectory } from "./SafeDirectory.ts"

/** The kinds of partial names that locks have: one that holds, and one that is being made. */
const kinds = { held: "2", making: "3" } as const

/** Identifies the running kernel: sockets of another one (NFS) cannot be asked. */
const kernel = createHash("sha256")
  .update(
    ((): string => {
      try {
        return readFileSync("/proc/sys/kernel/random/boot_id", "utf8")
      } catch {
        // Not Linux.
        return hostname()
      }
    })()
  )
  .digest("hex")
  .slice(0, 8)

/** Files that sessions of this process have locked. */
const held = new Set<string>()

/** A file by device and inode. */
interface FileId {
  readonly dev: number | bigint
  readonly ino: number | bigint
}

/**
 * Locks a file of this directory. Returns its unlock, which needs the directory open; undefined if
 * another session holds it.
 */
export const lock = (
  directory: SafeDirectory,
  { dev, ino }: FileId
): Effect.Effect<(() => void) | undefined, NodeJS.ErrnoException> => {
  const key = `${dev}-${ino}`
  if (held.has(key)) return Effect.succeed(undefined)
  held.add(key)
  return Effect.tryPromise({
    try: async () => {
      let entry: LockEntry | undefined
      try {
        entry = await acquire(directory, `lock-${ino}`)
      } finally {
        if (entry === undefined) held.delete(key)
      }
      if (entry === undefined) return undefined
      const { remove } = entry
      return () => {
        held.delete(key)
        remove()
      }
    },
    catch: (cause) => cause as NodeJS.ErrnoException
  })
}

const acquire = async (directory: SafeDirectory, stem: string): Promise<LockEntry | undefined> => {
  for (let attempt = 1; ; attempt++) {
    const own = await makeEntry(directory, stem)
    try {
      if (!(await isOtherAlive(directory, stem, own.name))) return own
    } catch (cause) {
      own.remove()
      throw cause
    }
    own.remove()
    if (attempt === limits.lockAttempts) return undefined
    // Two sessions that saw each other must not meet again.
    await sleep(Math.random() * limits.lockPauseMillis)
  }
}

/** The entry of a lock in the directory. */
interface LockEntry {
  readonly name: string
  readonly remove: () => void
}

const makeEntry = async (directory: SafeDirectory, stem: string): Promise<LockEntry> => {
  const source = randomBytes(8).toString("hex").slice(1)
  const name = Names.partialName(stem, kernel, kinds.held, source)
  const made = Names.partialName(stem, kernel, kinds.making, source)
  const server = await listen(directory.pathOf(made))
  // Now it answers: a name that does not answer is stale.
  if (server === undefined) closeSync(openSync(directory.pathOf(made), "wx", 0o600))
  renameSync(directory.pathOf(made), directory.pathOf(name))
  // Sessions that cannot connect to it read its time.
  const beat = setInterval(() => {
    try {
      utimesSync(directory.pathOf(name), new Date(), new Date())
    } catch {
      // Somebody removed it; the file itself is checked again before it gets its name.
    }
  }, limits.lockBeatMillis).unref()
  return {
    name,
    remove: () => {
      clearInterval(beat)
      unlinkIfThere(directory, name)
      server?.close()
    }
  }
}

/** Listens at the path, mode 0600; undefined on a file system without sockets. */
const listen = (path: string): Promise<Server | undefined> =>
  new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.unref()
    server.once("error", (cause: NodeJS.ErrnoException) =>
      lacksSpaceOrRights.has(cause.code ?? "") ? reject(cause) : resolve(undefined)
    )
    const umask = process.umask(0o177)
    try {
      // Exclusive: a process of node:cluster would ask its primary.
      server.listen({ path, exclusive: true }, () => resolve(server))
    } finally {
      process.umask(umask)
    }
  })

const lacksSpaceOrRights: ReadonlySet<string> = new Set([
  "EACCES",
  "EDQUOT",
  "EMFILE",
  "ENFILE",
  "ENOSPC",
  "EROFS"
])

/** True if another lock of the file is alive. Removes those that are not. */
const isOtherAlive = async (
  directory: SafeDirectory,
  stem: string,
  own: string
): Promise<boolean> => {
  const others: Array<string> = []
  const listed = forEachName(directory, (bytes) => {
    const name = Names.partialNameOf(bytes)
    if (name !== undefined && name !== own && isLockOf(name, stem)) others.push(name)
  })
  const failure = await Effect.runPromise(Effect.either(listed))
  if (Either.isLeft(failure)) throw failure.left
  for (const name of others) if (await isAlive(directory, name)) return true
  return false
}

const isLockOf = (name: string, stem: string): boolean => {
  if (!name.startsWith(`${stem}.`)) return false
  const partial = Names.parsePartialName(name)
  return partial?.name === stem && partial.kind === kinds.held
}

/** True if the session of this lock still runs. Removes the entry otherwise. */
const isAlive = async (directory: SafeDirectory, name: string): Promise<boolean> => {
  const stats = lstatSync(directory.pathOf(name), { throwIfNoEntry: false })
  // A partial file has one owner: another user could only hold its sessions up.
  if (stats === undefined || stats.uid !== (process.geteuid?.() ?? stats.uid)) return false
  const isOurKernel = Names.parsePartialName(name)?.peer === kernel
  const answer = isOurKernel && stats.isSocket() ? await ask(directory.pathOf(name)) : "unknown"
  if (answer === "alive") return true
  if (answer === "unknown" && Date.now() - stats.mtimeMs < limits.lockStaleMillis) return true
  unlinkIfThere(directory, name)
  return false
}

const ask = (path: string): Promise<"alive" | "ended" | "unknown"> =>
  new Promise((resolve) => {
    const socket = connect({ path })
    socket.once("connect", () => {
      socket.destroy()
      resolve("alive")
    })
    socket.once("error", ({ code = "" }: NodeJS.ErrnoException) =>
      resolve(answers.get(code) ?? "unknown")
    )
  })

const answers: ReadonlyMap<string, "alive" | "ended"> = new Map([
  ["ECONNREFUSED", "ended"],
  ["ENOENT", "ended"],
  // Its queue is full: it listens.
  ["EAGAIN", "alive"]
])

/** Removes the locks among the names whose sessions have ended. */
export const removeStale = async (
  directory: SafeDirectory,
  names: ReadonlyArray<string>
): Promise<void> => {
  for (const name of names) {
    const kind = Names.parsePartialName(name)?.kind
    if (kind === kinds.held) await isAlive(directory, name)
    if (kind !== kinds.making) continue
    const stats = lstatSync(directory.pathOf(name), { throwIfNoEntry: false })
    if (stats !== undefined && Date.now() - stats.mtimeMs > limits.leftoverMillis)
      unlinkIfThere(directory, name)
  }
}

const unlinkIfThere = (directory: SafeDirectory, name: string): void => {
  try {
    unlinkSync(directory.pathOf(name))
  } catch {
    // Somebody else removed it.
  }
}
