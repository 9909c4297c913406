// Limits the connections and the memory of one peer over all its sessions on a server. A peer at its
// limit gets an error; the other peers are not affected. PEERS.md section 6.
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Rules from "../peers/Rules.ts"
import { sourceOf } from "../transports/AdmissionControl.ts"
import { connectionsBelowDescriptorLimit } from "../transports/limits.ts"
import { limits } from "./limits.ts"
import { RefusedByRules, type PeerSessions } from "./PeerSessions.ts"
import { memory } from "./rules.ts"

interface SenderNames {
  /** The name of its key; its address if it has none. */
  readonly peer: string
  readonly from: string
}

/**
 * Returns the peer that a session counts against: the name of its key. Clients of a shared key
 * without a name are told apart by the source of their address only: an IPv4 address, an IPv6 /64,
 * or all clients of a Unix socket.
 */
export const budgetKey = ({ peer, from }: SenderNames): string =>
  peer === from ? `source ${sourceOf(from)}` : `peer ${peer}`

/** The memory of one session, which counts against its peer. */
export interface SessionMemory {
  /** Reserves bytes; false if the peer would then hold more than its limit. */
  readonly reserve: (bytes: number) => boolean
  /** The same, and waits up to `limits.memoryDeadline` for other sessions to release memory. */
  readonly reserveOrWait: (bytes: number) => Effect.Effect<boolean>
  readonly release: (bytes: number) => void
  /** The limit of the peer, in bytes. */
  readonly limit: () => number
}

/** The error of a session whose peer holds as much memory as it may. */
export const overMemory = (peer: string, { limit }: SessionMemory): RefusedByRules =>
  new RefusedByRules({
    peer,
    reason: `its unfinished requests would exceed ${limit().toLocaleString("en-US")} bytes of memory`
  })

/** A connection that counts against its peer. */
export interface PeerPlace {
  /**
   * - `entered`: the peer may use it.
   * - `refused`: the peer has too many; it may be told so.
   * - `ignored`: too many are being told so; it is reset.
   */
  readonly state: "entered" | "refused" | "ignored"
  readonly memory: SessionMemory
  /** Gives back the place, and all memory that the session has reserved. */
  readonly leave: () => void
}

/** The connection that holds a place. */
export interface PlaceHolder {
  /** Asks the peer for a sign of life; false if there is none. */
  readonly probe: Effect.Effect<boolean>
  readonly reset: () => void
}

/** The limits of one peer; read whenever they are needed, because rules may change. */
export interface PeerLimits {
  readonly connections: () => number
  readonly memory: () => number
}

/** Options from which the limits of a peer follow. */
export interface PeerLimitOptions {
  /** Maximum number of connections of the listener. Default: as the file descriptors allow. */
  readonly connections?: number | undefined
  /**
   * Maximum number of connections of one peer, unless its rules have `connections`. Default:
   * `limits.peerConnections`, and at most half of `connections`.
   */
  readonly peerConnections?: number | undefined
  /**
   * Bytes held for the unfinished requests of one peer, unless its rules have `memory`. Default:
   * `limits.peerMemory`.
   */
  readonly peerMemory?: number | undefined
  readonly peers?: PeerSessions | undefined
}

/** Returns the limits of the peer with this public key. */
export const peerLimits = (
  publicKey: Uint8Array | undefined,
  { connections, peerConnections, peerMemory, peers }: PeerLimitOptions
): PeerLimits => {
  const rules = () => (publicKey === undefined ? undefined : peers?.list.find(publicKey)?.rules)
  const half = () => Math.max(1, Math.floor((connections ?? connectionsBelowDescriptorLimit()) / 2))
  return {
    connections: () =>
      rules()?.get(Rules.connections) ??
      peerConnections ??
      Math.min(limits.peerConnections, half()),
    memory: () => rules()?.get(memory) ?? peerMemory ?? limits.peerMemory
  }
}

interface Usage {
  entered: number
  refused: number
  memory: number
  /** The connections that have entered; each is done when it has left. */
  readonly holders: Map<PlaceHolder, Deferred.Deferred<void>>
  /** True while `dropDead` runs. */
  isProbing: boolean
  /** Sessions that wait for memory, oldest first. */
  readonly waiting: Set<Deferred.Deferred<void>>
}

/** The usage of each peer that has a connection. */
export class PeerBudgets {
  readonly #usages = new Map<string, Usage>()

  /** Number of peers with a connection. */
  get size(): number {
    return this.#usages.size
  }

  /** The number of connections and bytes that a peer uses now. */
  usedBy(key: string): { readonly connections: number; readonly memory: number } {
    const usage = this.#usages.get(key)
    return { connections: usage?.entered ?? 0, memory: usage?.memory ?? 0 }
  }

  /**
   * Resets the connections of a peer that show no sign of life, and waits until they have left.
   * Returns whether there were any: the peer may then have lost an earlier connection, and be trying
   * again. A second call for a peer returns false while the first one runs.
   */
  dropDead(key: string): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      const usage = this.#usages.get(key)
      if (usage === undefined || usage.isProbing) return Effect.succeed(false)
      usage.isProbing = true
      const drop = ([holder, left]: readonly [PlaceHolder, Deferred.Deferred<void>]) =>
        Effect.flatMap(holder.probe, (isAlive) => {
          if (isAlive) return Effect.succeed(false)
          holder.reset()
          return Effect.as(Deferred.await(left), true)
        })
      return Effect.forEach([...usage.holders], drop, { concurrency: "unbounded" }).pipe(
        Effect.map((dropped) => dropped.includes(true)),
        Effect.ensuring(Effect.sync(() => (usage.isProbing = false)))
      )
    })
  }

  /** Counts a connection of an authenticated peer, until `leave`. */
  enter(key: string, peerLimits: PeerLimits, holder?: PlaceHolder): PeerPlace {
    const usage = this.#usages.get(key) ?? newUsage()
    this.#usages.set(key, usage)
    const state = stateOf(usage, peerLimits.connections())
    if (state === "entered") usage.entered++
    else usage.refused++
    if (state === "entered" && holder !== undefined)
      usage.holders.set(holder, Deferred.unsafeMake(FiberId.none))
    let reserved = 0
    let hasLeft = false
    const release = (bytes: number) => {
      const released = Math.min(bytes, reserved)
      reserved -= released
      usage.memory -= released
      // Each waiting session tries again, the oldest first.
      if (released > 0)
        for (const waiting of usage.waiting) Deferred.unsafeDone(waiting, Effect.void)
      if (released > 0) usage.waiting.clear()
    }
    const reserve = (bytes: number): boolean => {
      if (hasLeft || usage.memory + bytes > peerLimits.memory()) return false
      reserved += bytes
      usage.memory += bytes
      return true
    }
    const reserveOrWait = (bytes: number): Effect.Effect<boolean> => {
      const attempt: Effect.Effect<boolean> = Effect.suspend(() => {
        if (reserve(bytes)) return Effect.succeed(true)
        // A request larger than the whole budget never fits.
        if (hasLeft || bytes > peerLimits.memory()) return Effect.succeed(false)
        const released = Deferred.unsafeMake<void>(FiberId.none)
        usage.waiting.add(released)
        return Effect.zipRight(
          Effect.onInterrupt(Deferred.await(released), () =>
            Effect.sync(() => usage.waiting.delete(released))
          ),
          attempt
        )
      })
      return Effect.suspend(() =>
        reserve(bytes)
          ? Effect.succeed(true)
          : Effect.raceFirst(attempt, Effect.as(Effect.sleep(limits.memoryDeadline), false))
      )
    }
    return {
      state,
      memory: { reserve, reserveOrWait, release, limit: peerLimits.memory },
      leave: () => {
        if (hasLeft) return
        hasLeft = true
        release(reserved)
        const left = holder && usage.holders.get(holder)
        if (holder !== undefined && left !== undefined) {
          usage.holders.delete(holder)
          Deferred.unsafeDone(left, Effect.void)
        }
        if (state === "entered") usage.entered--
        else usage.refused--
        if (usage.entered + usage.refused === 0) this.#usages.delete(key)
      }
    }
  }
}

const newUsage = (): Usage => ({
  entered: 0,
  refused: 0,
  memory: 0,
  holders: new Map(),
  isProbing: false,
  waiting: new Set()
})

const stateOf = ({ entered, refused }: Usage, connections: number): PeerPlace["state"] => {
  if (entered < connections) return "entered"
  return refused < limits.refusedConnections ? "refused" : "ignored"
}
