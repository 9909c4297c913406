// The quotas of peers' folders. The content of a folder is counted once, when its first session
// starts, and the total is kept while any session is open.
import { lstatSync, readdirSync } from "node:fs"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Utf8 from "../../bytes/Utf8.ts"
import { costOf, type Quota } from "./DestinationCheck.ts"
import { yieldTurn } from "./Disk.ts"
import { limits } from "./limits.ts"
import type { SafeDirectories } from "./SafeDirectory.ts"
import { SafePath } from "./SafePath.ts"

/** The usage of one folder, shared by its sessions. */
interface Usage {
  used: number
  sessions: number
  /** The first session counts while others wait; if it is interrupted, the next one counts. */
  readonly counting: Effect.Semaphore
  isCounted: boolean
  /** Reserved cost by path: a session that stores a path again pays only the difference. */
  readonly reserved: Map<string, number>
}

export class Quotas {
  /** By the path of the folder. */
  readonly #usages = new Map<string, Usage>()

  /** Opens the quota of a folder, shared with its other sessions, until the scope closes. */
  open(directories: SafeDirectories, limit: number): Effect.Effect<Quota, never, Scope.Scope> {
    return Effect.gen(this, function* () {
      const key = directories.root.path
      const usage = this.#usages.get(key) ?? newUsage()
      this.#usages.set(key, usage)
      usage.sessions++
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          if (--usage.sessions === 0) this.#usages.delete(key)
        })
      )
      yield* usage.counting.withPermits(1)(
        Effect.gen(function* () {
          if (usage.isCounted) return
          usage.used = yield* totalCost(directories)
          usage.isCounted = true
        })
      )
      return quotaOf(usage, limit)
    })
  }
}

const quotaOf = (usage: Usage, limit: number): Quota => ({
  reserve: (path, cost, counted) => {
    const before = usage.reserved.get(path) ?? counted
    const more = Math.max(0, cost - before)
    // An entry that needs no more than it has is accepted even in a full folder.
    if (more > 0 && usage.used + more > limit) return false
    usage.used += more
    usage.reserved.set(path, before + more)
    return true
  },
  add: (cost) => {
    if (usage.used + cost > limit) return false
    usage.used += cost
    return true
  }
})

const newUsage = (): Usage => ({
  used: 0,
  sessions: 0,
  counting: Effect.unsafeMakeSemaphore(1),
  isCounted: false,
  reserved: new Map()
})

/** Returns the cost of everything below; entries that are removed meanwhile count nothing. */
const totalCost = (directories: SafeDirectories): Effect.Effect<number> =>
  Effect.gen(function* () {
    let [sum, visited] = [0, 0]
    const pending = [SafePath.root]
    for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
      for (const bytes of namesIn(directories, folder)) {
        if (visited++ % limits.entriesPerTurn === 0) yield* yieldTurn
        try {
          const place = Buffer.from(`${directories.get(folder).listingPath}/`)
          const stats = lstatSync(Buffer.concat([place, bytes]))
          // No peer can have made a folder whose name is not UTF-8: what is in it is not counted.
          const name = Utf8.decode(bytes)
          if (stats.isDirectory() && name !== undefined) pending.push(folder.localChild(name))
          sum += costOf(stats.isFile() ? stats.size : 0)
        } catch {
          // Removed meanwhile.
        }
      }
    }
    return sum
  })

const namesIn = (directories: SafeDirectories, folder: SafePath): ReadonlyArray<Buffer> => {
  try {
    return readdirSync(directories.get(folder).listingPath, "buffer")
  } catch {
    return []
  }
}
