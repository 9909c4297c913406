// The quotas of peers' folders. The content of a folder is counted once, when its first session
// starts. After that each upload charges what it may come to take, and settles what it took.
import { lstatSync } from "node:fs"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Utf8 from "../../bytes/Utf8.ts"
import { attempt } from "./Disk.ts"
import { limits } from "./limits.ts"
import { forEachName } from "./Listing.ts"
import * as Names from "./Names.ts"
import type { SafeDirectories } from "./SafeDirectory.ts"
import { SafePath } from "./SafePath.ts"

/** Returns the quota cost of an entry: its bytes, and a fixed cost for its directory entry. */
export const costOf = (bytes: number): number => bytes + limits.entryBytes

/** The reservation of an upload in a quota, from its answer until it has ended. */
export interface Charge {
  /**
   * Replaces the reservation by what the upload takes on the disk now, less what it has replaced.
   * Only the first call has an effect.
   */
  readonly settle: (cost: number) => void
  /** Gives the reservation back: the upload takes no more than its partial file did before. */
  readonly cancel: () => void
  /**
   * Corrects the cost that the partial file had before; false if the upload does not fit then.
   */
  readonly recount: (partialCost: number) => boolean
}

/** An upload that is to be charged. */
export interface Upload {
  /** Cost of the complete file. */
  readonly cost: number
  /** Cost of its partial file, which is in the total already. */
  readonly partialCost: number
  /**
   * Path and cost of the file that it replaces, which need not fit beside it. One upload of a path
   * at a time gets that: of two, the second stands beside the file that the first has stored. All
   * that do not fit beside what they replace exceed the quota by `limits.replacingBytes` at most.
   */
  readonly replaces?: { readonly path: string; readonly cost: number }
  /** Called once, when the charge is settled. */
  readonly onSettled?: () => void
}

/** The storage that a peer may still use. */
export interface Quota {
  /** Reserves the cost of an upload; undefined if it does not fit. */
  readonly charge: (upload: Upload) => Charge | undefined
  /** Adds the cost of a folder or link; false if it does not fit. */
  readonly add: (cost: number) => boolean
  /** Subtracts the cost of an entry that was removed. */
  readonly remove: (cost: number) => void
}

/** The usage of one folder, shared by its sessions. */
interface Usage {
  /** Cost of the files on the disk, and the reservations of uploads. */
  used: number
  sessions: number
  /** The first session counts while others wait; if it is interrupted, the next one counts. */
  readonly counting: Effect.Semaphore
  isCounted: boolean
  /** Paths of files that an upload is to replace. */
  readonly replacing: Set<string>
  /** Cost that uploads may take beside the files that they replace; `used` does not contain it. */
  credit: number
}

/** The charge of an upload to a folder without a quota. */
export const noCharge: Charge = { settle: () => {}, cancel: () => {}, recount: () => true }

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

const quotaOf = (usage: Usage, limit: number): Quota => {
  /** Adds to the total. An entry that needs no more than it has is accepted in a full folder. */
  const add = (cost: number): boolean => {
    if (cost > 0 && usage.used + cost > limit) return false
    usage.used += cost
    return true
  }
  /**
   * The part of a cost that need not fit, because the upload replaces a file. Nothing where all
   * uploads could come to exceed the quota by more than `replacingBytes`: until its end an upload
   * stands beside what it replaces, for as long as its sender likes.
   */
  const creditFor = (cost: number, replaces: Upload["replaces"]): number => {
    if (replaces === undefined || usage.replacing.has(replaces.path)) return 0
    return usage.used + usage.credit + cost <= limit + limits.replacingBytes
      ? Math.min(replaces.cost, cost)
      : 0
  }
  return {
    add,
    remove: (cost) => {
      usage.used -= cost
    },
    charge: ({ cost, partialCost, replaces, onSettled }) => {
      const credit = creditFor(Math.max(0, cost - partialCost), replaces)
      const replacedPath = credit > 0 ? replaces?.path : undefined
      const reservation = (partial: number) => Math.max(0, cost - credit - partial)
      let counted = partialCost
      let reserved = reservation(counted)
      if (!add(reserved)) return undefined
      usage.credit += credit
      if (replacedPath !== undefined) usage.replacing.add(replacedPath)
      let isSettled = false
      const settle = (taken: number) => {
        if (isSettled) return
        isSettled = true
        usage.used += taken - counted - reserved
        usage.credit -= credit
        if (replacedPath !== undefined) usage.replacing.delete(replacedPath)
        onSettled?.()
      }
      return {
        settle,
        cancel: () => settle(counted),
        recount: (partial) => {
          counted = partial
          const needed = reservation(partial)
          if (!add(needed - reserved)) return false
          reserved = needed
          return true
        }
      }
    }
  }
}

const newUsage = (): Usage => ({
  used: 0,
  sessions: 0,
  counting: Effect.unsafeMakeSemaphore(1),
  isCounted: false,
  replacing: new Set(),
  credit: 0
})

/** Returns the cost of everything below; entries that are removed meanwhile count nothing. */
const totalCost = (directories: SafeDirectories): Effect.Effect<number> =>
  Effect.gen(function* () {
    let sum = 0
    const handled = { count: 0 }
    const pending = [SafePath.root]
    for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
      const at = folder
      const addCost = (bytes: Buffer) => {
        try {
          const place = Buffer.from(`${directories.get(at).listingPath}/`)
          const stats = lstatSync(Buffer.concat([place, bytes]))
          // No peer can have made a folder whose name is not UTF-8: what is in it is not counted.
          const name = Utf8.decode(bytes)
          // The locks of sessions are the server's own, and are gone when it ends.
          if (name !== undefined && Names.isLock(name)) return
          if (stats.isDirectory() && name !== undefined) pending.push(at.localChild(name))
          sum += costOf(stats.isFile() ? stats.size : 0)
        } catch {
          // Removed meanwhile.
        }
      }
      yield* attempt(() => directories.get(at)).pipe(
        Effect.flatMap((directory) => forEachName(directory, addCost, handled)),
        // Removed meanwhile.
        Effect.ignore
      )
    }
    return sum
  })
