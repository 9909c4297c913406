// The authorized clients of a server that runs, their open sessions, and what each may still do.
// PEERS.md.
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type { AuthorizedClient } from "../channel/HandshakeKeys.ts"
import type { OptionSpec } from "../peers/OptionSpec.ts"
import { atOnce, inTurns, itemsPerTurn, type Steps } from "../peers/inTurns.ts"
import type { PeerList } from "../peers/PeerList.ts"
import type { AuthorizedPeer } from "../peers/Peers.ts"
import * as Rules from "../peers/Rules.ts"
import { Timers } from "../transports/Timers.ts"
import { TokenBucket } from "./TokenBucket.ts"

/** This side ended a session because the list no longer allows it. The client is not told why. */
export class Expelled extends Data.TaggedError("Expelled")<{
  readonly peer: string
  readonly reason: string
}> {
  override get message(): string {
    return `session of ${this.peer} ended: ${this.reason}`
  }
}

/** A client's rules do not allow a request, or no more of it now. The client is told that alone. */
export class RefusedByRules extends Data.TaggedError("RefusedByRules")<{
  readonly peer: string
  readonly reason: string
}> {
  override get message(): string {
    return `${this.peer} refused: ${this.reason}`
  }
}

/** The allowance of a client under an option that limits a count per minute. */
export interface Allowance {
  /** The count that the client has left now; negative if it exceeded the limit. */
  readonly left: number
  readonly spend: (amount: number) => void
}

/**
 * A check of the rules that a session must pass for as long as it is open; the reason if it fails.
 */
export type RuleCheck = (rules: Rules.Rules) => string | undefined

/** An open session of an authorized client. */
export interface PeerSession {
  /** The client's name in the list in force. */
  readonly name: () => string
  /** The client's rules in the list in force. */
  readonly rules: () => Rules.Rules
  /**
   * The allowance of an option that limits a count per minute, shared by all sessions and keys of
   * the client. Undefined if the rules do not have the option.
   */
  readonly allowance: (option: OptionSpec<number>) => Allowance | undefined
  /** Checks the rules now, and again whenever the list changes: a failure then ends the session. */
  readonly require: (check: RuleCheck) => RefusedByRules | undefined
  /** True after the list has ended the session. */
  readonly isEnded: () => boolean
  /** The reason for which the list has ended the session. */
  readonly expelled: () => Expelled | undefined
  /** Forgets the session. */
  readonly close: () => void
}

interface OpenSession {
  /** The line of the list in force; of an earlier list if the key is no longer there. */
  peer: AuthorizedPeer
  readonly from: string
  readonly service: string | undefined
  readonly checks: Array<RuleCheck>
  readonly cut: () => void
  endReason: string | undefined
  stopTimer: () => void
}

/** Longest wait for an expiry, in milliseconds: Node's timers reach no further than 24.8 days. */
const maxTimerMillis = 24 * 60 * 60 * 1000

/** The reason for which `authorize` refuses a key that is not in the list. */
export const notListed = "its key is not in authorized_peers"

/**
 * The list of authorized clients in force, and their open sessions. A new list takes effect at
 * once, and so does the expiry of a key.
 *
 * @example
 * const peers = yield* PeerSessions.make(new PeerList(authorized))
 * yield* Server.listen({ peers, keys: Server.identity(peers), ...options })
 * peers.replace(new PeerList(changed))
 */
export class PeerSessions {
  #list: PeerList
  readonly #timers: Timers
  /** By name: a client with several keys is one client. */
  readonly #sessions = new Map<string, Set<OpenSession>>()
  /**
   * By name, then by option. Outlives the sessions: a new connection must not renew an allowance.
   */
  readonly #buckets = new Map<string, Map<string, TokenBucket>>()

  /** Makes the sessions of a list, on the clock of this fiber. */
  static make(list: PeerList): Effect.Effect<PeerSessions> {
    return Effect.map(Timers.current, (timers) => new PeerSessions(list, timers))
  }

  private constructor(list: PeerList, timers: Timers) {
    this.#list = list
    this.#timers = timers
  }

  /** The list in force. */
  get list(): PeerList {
    return this.#list
  }

  /** Number of keys in the list. */
  get size(): number {
    return this.#list.size
  }

  /** For the handshake: the client with this key, or the reason for which it is refused. */
  readonly authorize = (publicKey: Uint8Array, from: string): AuthorizedClient | string => {
    const peer = this.#list.find(publicKey)
    if (peer === undefined) return notListed
    const refusal = Rules.refusal(peer.rules, { from, now: this.#timers.now })
    if (refusal !== undefined) return refusal
    const sharedKey = peer.rules.get(Rules.sharedKey)
    return sharedKey === undefined ? { name: peer.name } : { name: peer.name, sharedKey }
  }

  /** Puts a new list in force. Ends the sessions that it does not allow; returns their number. */
  replace(list: PeerList): number {
    return atOnce(this.#replaceSteps(list))
  }

  /**
   * Does the same in turns of the event loop. The list is in force at once for new connections and
   * sessions.
   */
  replaceInTurns(list: PeerList): Effect.Effect<number> {
    return inTurns(() => this.#replaceSteps(list))
  }

  *#replaceSteps(list: PeerList): Steps<number> {
    this.#list = list
    const all = [...this.#sessions.values()].flatMap((sessions) => [...sessions])
    let ended = 0
    for (const [index, session] of all.entries()) {
      if (index % itemsPerTurn === itemsPerTurn - 1) yield
      // It may have been closed in the meantime.
      if (!this.#remove(session)) continue
      // The client may have another name now.
      session.peer = list.find(session.peer.publicKey) ?? session.peer
      this.#add(session)
      if (this.#recheck(session)) ended++
    }
    let buckets = 0
    for (const name of this.#buckets.keys()) {
      if (++buckets % itemsPerTurn === 0) yield
      if (!list.hasName(name)) this.#buckets.delete(name)
    }
    return ended
  }

  /**
   * Opens a session for a client that has completed the handshake, for one service if the server
   * has several. `cut` resets its connection. The rules are those of the list in force.
   */
  open(
    publicKey: Uint8Array,
    from: string,
    service: string | undefined,
    cut: () => void
  ): PeerSession | RefusedByRules {
    const peer = this.#list.find(publicKey)
    // The list may have changed since the handshake.
    if (peer === undefined)
      return new RefusedByRules({ peer: from, reason: `${notListed} any more` })
    const refusal = this.#refusal(peer, from, service)
    if (refusal !== undefined) return new RefusedByRules({ peer: peer.name, reason: refusal })
    const session: OpenSession = {
      peer,
      from,
      service,
      checks: [],
      cut,
      endReason: undefined,
      stopTimer: () => {}
    }
    this.#add(session)
    this.#awaitExpiry(session)
    return {
      name: () => session.peer.name,
      rules: () => session.peer.rules,
      allowance: (option) => this.#allowance(session, option),
      require: (check) => {
        session.checks.push(check)
        const reason = this.#currentRefusal(session)
        return reason === undefined
          ? undefined
          : new RefusedByRules({ peer: session.peer.name, reason })
      },
      isEnded: () => session.endReason !== undefined,
      expelled: () =>
        session.endReason === undefined
          ? undefined
          : new Expelled({ peer: session.peer.name, reason: session.endReason }),
      close: () => {
        session.stopTimer()
        this.#remove(session)
      }
    }
  }

  #add(session: OpenSession): void {
    const { name } = session.peer
    const sessions = this.#sessions.get(name) ?? new Set()
    this.#sessions.set(name, sessions.add(session))
  }

  /** Returns false if the session is closed. */
  #remove(session: OpenSession): boolean {
    const sessions = this.#sessions.get(session.peer.name)
    const wasOpen = sessions?.delete(session) === true
    if (sessions?.size === 0) this.#sessions.delete(session.peer.name)
    return wasOpen
  }

  #refusal(peer: AuthorizedPeer, from: string, service: string | undefined): string | undefined {
    const connections = peer.rules.get(Rules.connections)
    if (connections !== undefined && (this.#sessions.get(peer.name)?.size ?? 0) >= connections)
      return `it already has ${connections} connections (${peer.rules.where})`
    return Rules.refusal(peer.rules, { from, now: this.#timers.now, service })
  }

  /** Ends a session that the list in force does not allow; returns true if it did. */
  #recheck(session: OpenSession): boolean {
    if (session.endReason !== undefined) return false
    const refusal = this.#currentRefusal(session)
    if (refusal === undefined) {
      this.#awaitExpiry(session)
      return false
    }
    session.endReason = refusal
    session.stopTimer()
    session.cut()
    return true
  }

  /** The reason for which the list in force does not allow a session. */
  #currentRefusal({ peer: { publicKey }, from, service, checks }: OpenSession): string | undefined {
    const peer = this.#list.find(publicKey)
    if (peer === undefined) return notListed
    const refusal = Rules.refusal(peer.rules, { from, now: this.#timers.now, service })
    if (refusal !== undefined) return refusal
    for (const check of checks) {
      const reason = check(peer.rules)
      if (reason !== undefined) return reason
    }
    return undefined
  }

  #awaitExpiry(session: OpenSession): void {
    session.stopTimer()
    const expires = this.#list.find(session.peer.publicKey)?.rules.get(Rules.expiry)
    if (expires === undefined) return
    const wait = Math.min(Math.max(0, expires - this.#timers.now), maxTimerMillis)
    session.stopTimer = this.#timers.schedule(wait, () => this.#recheck(session))
  }

  /** Counts only what is limited: a count without a limit would never go down. */
  #allowance(session: OpenSession, option: OptionSpec<number>): Allowance | undefined {
    const { name, rules } = session.peer
    const perMinute = rules.get(option)
    if (perMinute === undefined) return undefined
    const { now } = this.#timers
    const buckets = this.#buckets.get(name) ?? new Map<string, TokenBucket>()
    const bucket = buckets.get(option.name) ?? new TokenBucket(now)
    this.#buckets.set(name, buckets.set(option.name, bucket))
    return { left: bucket.left(perMinute, now), spend: (amount) => bucket.spend(amount) }
  }
}
