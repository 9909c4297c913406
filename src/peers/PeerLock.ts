// A lock for editors of a peers file. Node has no flock, and a single lock file that may be stale
// cannot be taken over safely: of two processes that find it stale, the second removes the new lock
// of the first. Therefore each editor creates a lock file with a unique name and then lists the
// others: if there is none, it has the lock; otherwise it removes its file and tries again. A stale
// file is removed by its unique name, so that no other lock can be hit.
import { createHash, randomBytes } from "node:crypto"
import { open, readdir, stat, unlink } from "node:fs/promises"
import { hostname } from "node:os"
import path from "node:path"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { shown } from "../bytes/excerpt.ts"
import { stemOf } from "../keys/TemporaryFile.ts"

export const limits = {
  /** Longest wait for the lock. */
  wait: Duration.seconds(10),
  /** Age at which a lock is stale; an edit takes a fraction of a second. */
  stale: Duration.minutes(1),
  /** Longest pause between attempts; the shortest is a tenth of it. */
  pause: Duration.millis(50)
}

/** Another process holds the lock for longer than `limits.wait`. */
export class PeersBusy extends Data.TaggedError("PeersBusy")<{
  readonly file: string
  readonly pid: number
  readonly lock: string
}> {
  override get message(): string {
    return `${shown(this.file)}: locked by another sealwire (process ${this.pid}); try again, or remove ${shown(this.lock)} if that process does not exist`
  }
}

export interface Lock {
  /** Resolves to true while the lock file exists: others remove a stale one. */
  readonly held: () => Promise<boolean>
}

/** Runs `use` under the lock of a file, whose folder must exist. */
export const locked = <A, E, R, E2>(
  file: string,
  failed: (cause: unknown) => E2,
  use: (lock: Lock) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | E2 | PeersBusy, R> =>
  Effect.acquireUseRelease(
    acquire(file, failed),
    (own) =>
      use({
        held: () =>
          stat(own).then(
            () => true,
            () => false
          )
      }),
    (own) => Effect.promise(() => remove(own))
  )

const acquire = <E2>(
  file: string,
  failed: (cause: unknown) => E2
): Effect.Effect<string, E2 | PeersBusy> =>
  Effect.gen(function* () {
    const until = (yield* Clock.currentTimeMillis) + Duration.toMillis(limits.wait)
    for (;;) {
      const found = yield* Effect.tryPromise({ try: () => tryLock(file), catch: failed })
      if ("own" in found) return found.own
      if ((yield* Clock.currentTimeMillis) > until) return yield* new PeersBusy({ file, ...found })
      const pause = yield* Random.nextRange(0.1, 1)
      yield* Effect.interruptible(Effect.sleep(Duration.times(limits.pause, pause)))
    }
  })

interface Other {
  readonly pid: number
  readonly lock: string
}

/** Identifies this host: process ids of containers that share a folder are not comparable. */
const here = createHash("sha256").update(hostname()).digest("hex").slice(0, 8)

/** Files whose names have a long beginning in common share a lock, which does no harm. */
const prefixOf = (file: string): string => `${stemOf(file)}.lock.`

const tryLock = async (file: string): Promise<{ readonly own: string } | Other> => {
  const name = `${prefixOf(file)}${process.pid}.${here}.${randomBytes(8).toString("hex")}`
  const own = path.join(path.dirname(file), name)
  await (await open(own, "wx", 0o600)).close()
  try {
    const other = await otherThan(file, own)
    if (other === undefined) return { own }
    await remove(own)
    return other
  } catch (cause) {
    await remove(own)
    throw cause
  }
}

const otherThan = async (file: string, own: string): Promise<Other | undefined> => {
  const folder = path.dirname(file)
  const prefix = prefixOf(file)
  for (const name of await readdir(folder)) {
    const lock = path.join(folder, name)
    const { pid, host } =
      /^(?<pid>\d+)\.(?<host>[0-9a-f]{8})\.[0-9a-f]{16}$/.exec(name.slice(prefix.length))?.groups ??
      {}
    if (!name.startsWith(prefix) || pid === undefined || lock === own) continue
    const age = await ageOf(lock)
    if (age === undefined) continue
    if (age < Duration.toMillis(limits.stale) && (host !== here || isRunning(Number(pid))))
      return { pid: Number(pid), lock }
    await remove(lock)
  }
  return undefined
}

/** Age in milliseconds; undefined if the file no longer exists. */
const ageOf = (file: string): Promise<number | undefined> =>
  stat(file).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => undefined
  )

const isRunning = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code !== "ESRCH"
  }
}

const remove = (file: string): Promise<void> => unlink(file).catch(() => {})
