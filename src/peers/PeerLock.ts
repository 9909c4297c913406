// One editor of a peers file at a time. Node has no flock, and a lock file that may be stale cannot be taken over safely: of two who
// find it stale, the second removes the first one's new lock. So each announces itself with a file of its own name, then looks: whoever
// sees no other one has the lock, the others withdraw and try again. What was left behind by a process that is gone is
// removed by its own name, which nobody else ever has.
import { createHash, randomBytes } from "node:crypto"
import { open, readdir, stat, unlink } from "node:fs/promises"
import { hostname } from "node:os"
import path from "node:path"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

export const limits = {
  /** How long an editor waits for its turn. */
  wait: Duration.seconds(10),
  /** An editor needs a fraction of a second; an announcement older than this was left behind. */
  stale: Duration.minutes(1),
  /** The longest pause before the next try; the shortest is a tenth of it. */
  pause: Duration.millis(50)
}

/** Somebody else holds the file for too long. */
export class PeersBusy extends Data.TaggedError("PeersBusy")<{
  readonly file: string
  readonly pid: number
  readonly lock: string
}> {
  override get message(): string {
    return `${this.file}: another sealwire (process ${this.pid}) is changing it; try again, and if there is none, remove ${this.lock}`
  }
}

export interface Lock {
  /** True until others have taken this editor for dead. */
  readonly held: () => Promise<boolean>
}

/** Runs `use` while nobody else edits the file, whose folder is there. */
export const locked = <A, E, R, E2>(
  file: string,
  failed: (cause: unknown) => E2,
  use: (lock: Lock) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | E2 | PeersBusy, R> =>
  Effect.acquireUseRelease(
    acquired(file, failed),
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

const acquired = <E2>(
  file: string,
  failed: (cause: unknown) => E2
): Effect.Effect<string, E2 | PeersBusy> =>
  Effect.gen(function* () {
    const until = (yield* Clock.currentTimeMillis) + Duration.toMillis(limits.wait)
    for (;;) {
      const found = yield* Effect.tryPromise({ try: () => announced(file), catch: failed })
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

/** This machine, as far as process ids go: containers that share a folder do not see each other's. */
const here = createHash("sha256").update(hostname()).digest("hex").slice(0, 8)

const announced = async (file: string): Promise<{ readonly own: string } | Other> => {
  const own = `${file}.lock.${process.pid}.${here}.${randomBytes(8).toString("hex")}`
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
  const prefix = `${path.basename(file)}.lock.`
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

/** In milliseconds; undefined when it is not there any more. */
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
