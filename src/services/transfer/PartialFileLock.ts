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
import * as Effect from "effect/Effect"
import { attempt, pause } from "./Disk.ts"
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

/** The session that holds a lock, as a newer one of the same peer sees it. */
export interface Holder {
  /** Grows with everything that arrives. */
  readonly progress: () => number
  /** Makes the session find out soon whether its peer is alive; it ends if not. */
  readonly probe: () => void
  /** Ends the session, which then releases the lock. */
  readonly end: Effect.Effect<void>
}

/** Files that sessions of this process have locked. */
const held = new Map<string, Holder | undefined>()

/** A file by device and inode. */
interface FileId {
  readonly dev: number | bigint
  readonly ino: number | bigint
}

const keyOf = ({ dev, ino }: FileId): string => `${dev}-${ino}`

/** Returns the session of this process that holds the lock of a file. */
export const holderOf = (file: FileId): Holder | undefined => held.get(keyOf(file))

/**
 * Locks a file of this directory. Returns its unlock, which needs the directory open; undefined if
 * another session holds it. The caller makes it uninterruptible until it has the unlock.
 */
export const lock = (
  directory: SafeDirectory,
  file: FileId,
  holder?: Holder
): Effect.Effect<(() => void) | undefined, NodeJS.ErrnoException> =>
  Effect.suspend(() => {
    const key = keyOf(file)
    if (held.has(key)) return Effect.succeed(undefined)
    held.set(key, holder)
    return acquire(directory, `lock-${file.ino}`).pipe(
      Effect.tapError(() => Effect.sync(() => held.delete(key))),
      Effect.map((entry) => {
        if (entry === undefined) {
          held.delete(key)
          return undefined
        }
        return () => {
          held.delete(key)
          entry.remove()
        }
      })
    )
  })

const acquire = (
  directory: SafeDirectory,
  stem: string
): Effect.Effect<LockEntry | undefined, NodeJS.ErrnoException> =>
  Effect.gen(function* () {
    for (let attempt = 1; ; attempt++) {
      const own = yield* makeEntry(directory, stem)
      const isTaken = yield* Effect.tapError(isOtherAlive(directory, stem, own.name), () =>
        Effect.sync(own.remove)
      )
      if (!isTaken) return own
      own.remove()
      if (attempt === limits.lockAttempts) return undefined
      // Two sessions that saw each other must not meet again.
      yield* pause(Math.random() * limits.lockPauseMillis)
    }
  })

/** The entry of a lock in the directory. */
interface LockEntry {
  readonly name: string
  readonly remove: () => void
}

const makeEntry = (
  directory: SafeDirectory,
  stem: string
): Effect.Effect<LockEntry, NodeJS.ErrnoException> =>
  Effect.gen(function* () {
    const source = randomBytes(8).toString("hex").slice(1)
    const name = Names.partialName(stem, kernel, kinds.held, source)
    const making = Names.partialName(stem, kernel, kinds.making, source)
    const server = yield* Effect.flatMap(
      attempt(() => directory.pathOf(making)),
      listen
    )
    // Now it answers: a name that does not answer is stale.
    yield* attempt(() => {
      const made = directory.pathOf(making)
      if (server === undefined) closeSync(openSync(made, "wx", 0o600))
      renameSync(made, directory.pathOf(name))
    })
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
  })

/** Listens at the path, mode 0600; undefined on a file system without sockets. */
const listen = (path: string): Effect.Effect<Server | undefined, NodeJS.ErrnoException> =>
  Effect.async((resume) => {
    const server = createServer((socket) => socket.destroy())
    server.unref()
    server.once("error", (cause: NodeJS.ErrnoException) =>
      resume(
        lacksSpaceOrRights.has(cause.code ?? "") ? Effect.fail(cause) : Effect.succeed(undefined)
      )
    )
    const umask = process.umask(0o177)
    try {
      // Exclusive: a process of node:cluster would ask its primary.
      server.listen({ path, exclusive: true }, () => resume(Effect.succeed(server)))
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
const isOtherAlive = (
  directory: SafeDirectory,
  stem: string,
  own: string
): Effect.Effect<boolean, NodeJS.ErrnoException> =>
  Effect.gen(function* () {
    const others: Array<string> = []
    yield* forEachName(directory, (bytes) => {
      const name = Names.partialNameOf(bytes)
      if (name !== undefined && name !== own && isLockOf(name, stem)) others.push(name)
    })
    for (const name of others) if (yield* isAlive(directory, name)) return true
    return false
  })

const isLockOf = (name: string, stem: string): boolean => {
  if (!name.startsWith(`${stem}.`)) return false
  const partial = Names.parsePartialName(name)
  return partial?.name === stem && partial.kind === kinds.held
}

/** True if the session of this lock still runs. Removes the entry otherwise. */
const isAlive = (
  directory: SafeDirectory,
  name: string
): Effect.Effect<boolean, NodeJS.ErrnoException> =>
  Effect.gen(function* () {
    const path = yield* attempt(() => directory.pathOf(name))
    const stats = lstatSync(path, { throwIfNoEntry: false })
    // A partial file has one owner: another user could only hold its sessions up.
    if (stats === undefined || stats.uid !== (process.geteuid?.() ?? stats.uid)) return false
    const isOurKernel = Names.parsePartialName(name)?.peer === kernel
    const answer = isOurKernel && stats.isSocket() ? yield* ask(path) : "unknown"
    if (answer === "alive") return true
    if (answer === "unknown" && Date.now() - stats.mtimeMs < limits.lockStaleMillis) return true
    unlinkIfThere(directory, name)
    return false
  })

const ask = (path: string): Effect.Effect<"alive" | "ended" | "unknown"> =>
  Effect.async((resume) => {
    const socket = connect({ path })
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.succeed("alive"))
    })
    socket.once("error", ({ code = "" }: NodeJS.ErrnoException) =>
      resume(Effect.succeed(answers.get(code) ?? "unknown"))
    )
  })

const answers: ReadonlyMap<string, "alive" | "ended"> = new Map([
  ["ECONNREFUSED", "ended"],
  ["ENOENT", "ended"],
  // Its queue is full: it listens.
  ["EAGAIN", "alive"]
])

/** Removes the locks among the names whose sessions have ended. */
export const removeStale = (
  directory: SafeDirectory,
  names: ReadonlyArray<string>
): Effect.Effect<void, NodeJS.ErrnoException> =>
  Effect.gen(function* () {
    for (const name of names) {
      const kind = Names.parsePartialName(name)?.kind
      if (kind === kinds.held) yield* isAlive(directory, name)
      if (kind !== kinds.making) continue
      const stats = lstatSync(directory.pathOf(name), { throwIfNoEntry: false })
      if (stats !== undefined && Date.now() - stats.mtimeMs > limits.leftoverMillis)
        unlinkIfThere(directory, name)
    }
  })

const unlinkIfThere = (directory: SafeDirectory, name: string): void => {
  try {
    unlinkSync(directory.pathOf(name))
  } catch {
    // Somebody else removed it.
  }
}
