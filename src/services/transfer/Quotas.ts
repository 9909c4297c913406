// How much may lie in a peer's folder: counted once when its first session comes, and kept up while any stands.
import { lstatSync, readdirSync } from "node:fs"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { SafeDirectories } from "./SafeDirectory.ts"
import { limits } from "./limits.ts"
import { costOf, type Quota } from "./DestinationCheck.ts"

interface Counted {
  used: number
  sessions: number
  /** Whoever comes first counts; the others wait for it, and one that is interrupted leaves it to the next. */
  readonly turn: Effect.Semaphore
  isCounted: boolean
  /** What is counted of the names that were granted, by path: who comes again with one pays for what is more. */
  readonly granted: Map<string, number>
}

const turn = Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))

export class Quotas {
  /** By the folder. */
  readonly #folders = new Map<string, Counted>()

  /** What this session may still store; it is counted when it is granted. */
  enter(folders: SafeDirectories, most: number): Effect.Effect<Quota, never, Scope.Scope> {
    return Effect.gen(this, function* () {
      const key = folders.root.path
      const counted = this.#folders.get(key) ?? fresh()
      this.#folders.set(key, counted)
      counted.sessions++
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          if (--counted.sessions === 0) this.#folders.delete(key)
        })
      )
      yield* counted.turn.withPermits(1)(
        Effect.gen(function* () {
          if (counted.isCounted) return
          counted.used = yield* sizeOf(folders)
          counted.isCounted = true
        })
      )
      return {
        reserve: (path, bytes, there) => {
          const before = counted.granted.get(path) ?? there
          const more = Math.max(0, bytes - before)
          // What costs nothing more is not refused, however full it is.
          if (more > 0 && counted.used + more > most) return false
          counted.used += more
          counted.granted.set(path, before + more)
          return true
        },
        add: (bytes) => {
          if (counted.used + bytes > most) return false
          counted.used += bytes
          return true
        }
      }
    })
  }
}

const fresh = (): Counted => ({
  used: 0,
  sessions: 0,
  turn: Effect.unsafeMakeSemaphore(1),
  isCounted: false,
  granted: new Map()
})

/** What all entries below cost. A folder that goes away meanwhile counts nothing. */
const sizeOf = (folders: SafeDirectories): Effect.Effect<number> =>
  Effect.gen(function* () {
    let [sum, looked] = [0, 0]
    const open: Array<ReadonlyArray<string>> = [[]]
    for (let names = open.pop(); names !== undefined; names = open.pop()) {
      let inside: ReadonlyArray<string> = []
      const here = names
      try {
        inside = readdirSync(folders.get(here).listingPath)
      } catch {
        continue
      }
      for (const name of inside) {
        if (looked++ % limits.entriesPerTurn === 0) yield* turn
        try {
          const stats = lstatSync(folders.get(here).pathOf(name))
          if (stats.isDirectory()) open.push([...here, name])
          sum += costOf(stats.isFile() ? stats.size : 0)
        } catch {
          // Gone meanwhile.
        }
      }
    }
    return sum
  })
