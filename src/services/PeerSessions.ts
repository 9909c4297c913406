// Who may come in, who is in, and how much each may still send: authorized_peers while a server runs. keys/PEERS.md.
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type { AuthorizedClient } from "../channel/Handshake.ts"
import type { PeerList } from "../peers/PeerList.ts"
import type { AuthorizedPeer } from "../peers/Peers.ts"
import * as Rules from "../peers/Rules.ts"
import { Timers } from "../transports/Timers.ts"
import { TokenBucket } from "./TokenBucket.ts"

/** A session was ended by this side: its key is not let in any more. The peer is not told why. */
export class Expelled extends Data.TaggedError("Expelled")<{
  readonly peer: string
  readonly reason: string
}> {
  override get message(): string {
    return `${this.peer} was put out: ${this.reason}`
  }
}

/** A peer's rules do not allow what it asks, or not so much of it. The peer is told that, and no more. */
export class RefusedByRules extends Data.TaggedError("RefusedByRules")<{
  readonly peer: string
  readonly reason: string
}> {
  override get message(): string {
    return `${this.peer} was refused: ${this.reason}`
  }
}

/** A peer that is in. */
export interface PeerSession {
  /** How many of these messages, by their lengths in bytes, its rules allow now; they are counted as sent. */
  readonly allow: (lengths: ReadonlyArray<number>) => number
  /** Whether a message that has so many bytes already may become whole. */
  readonly bears: (bytes: number) => boolean
  /** Counts bytes of a message that did not become whole. */
  readonly waste: (bytes: number) => void
  /** As the list of now has them. */
  readonly rules: () => Rules.Rules
  /** Its session leads to this target from now on, as long as its rules allow that. */
  readonly reach: (target: Rules.Target) => RefusedByRules | undefined
  /** Counts a connection through a tunnel. */
  readonly connect: () => RefusedByRules | undefined
  /** Counts bytes that are no message's; false when it has sent more than its rules allow by now. */
  readonly spend: (bytes: number) => boolean
  /** Why it was put out. */
  readonly expelled: () => Expelled | undefined
  /** The session is over. */
  readonly leave: () => void
}

interface Session {
  /** As the list of now has it. */
  peer: AuthorizedPeer
  readonly from: string
  readonly service: Rules.Service | undefined
  target: Rules.Target | undefined
  readonly end: () => void
  reason: string | undefined
  stopTimer: () => void
}

interface Spent {
  readonly messages: TokenBucket
  readonly bytes: TokenBucket
  readonly connections: TokenBucket
}

const attemptOf = (from: string, now: number, service: Rules.Service | undefined): Rules.Attempt =>
  service === undefined ? { from, now } : { from, now, service }

/** The longest sleep to an expiry; timers know no more than 24 days. */
const longestSleep = 24 * 60 * 60 * 1000

/**
 * @example
 * const roster = yield* Roster.make(new PeerList(yield* parseAuthorized("authorized_peers", text)))
 * yield* Server.serve({ roster, keys: { authorize: roster.authorize, ... }, ... }) // later: roster.replace(another list)
 */
export class PeerSessions {
  #list: PeerList
  readonly #timers: Timers
  /** Who is in, by name: a peer with several keys is one peer. */
  readonly #sessions = new Map<string, Set<Session>>()
  /** What each has used up; it outlives its sessions, or a new connection would be a new minute. */
  readonly #spent = new Map<string, Spent>()

  /** On the clock of this fiber. */
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

  /** For the handshake: the peer, or why it is not let in. */
  readonly authorize = (publicKey: Uint8Array, from: string): AuthorizedClient | string => {
    const peer = this.#list.find(publicKey)
    if (peer === undefined) return "its key is not in authorized_peers"
    const refusal = Rules.refusal(peer.rules, { from, now: this.#timers.now })
    if (refusal !== undefined) return refusal
    const { sharedKey } = peer.rules
    return sharedKey === undefined ? { name: peer.name } : { name: peer.name, sharedKey }
  }

  /** Takes the place of the list. Sessions whose key it does not let in are ended now; gives how many. */
  replace(list: PeerList): number {
    this.#list = list
    const known = new Set(list.all.map(({ name }) => name))
    for (const name of this.#spent.keys()) if (!known.has(name)) this.#spent.delete(name)
    const all = [...this.#sessions.values()].flatMap((sessions) => [...sessions])
    this.#sessions.clear()
    let ended = 0
    for (const session of all) {
      // It may have another name now.
      session.peer = list.find(session.peer.publicKey) ?? session.peer
      this.#seat(session)
      if (this.#recheck(session)) ended++
    }
    return ended
  }

  /** A peer that the handshake let in takes its seat, for one service where there are several; `end` cuts its connection. Its rules are those of now, on. */
  enter(
    publicKey: Uint8Array,
    from: string,
    service: Rules.Service | undefined,
    end: () => void
  ): PeerSession | RefusedByRules {
    const peer = this.#list.find(publicKey)
    // Between the handshake and now the list may have changed.
    if (peer === undefined)
      return new RefusedByRules({
        peer: from,
        reason: "its key is not in authorized_peers any more"
      })
    const { name } = peer
    const refusal = this.#refusal(peer, from, service)
    if (refusal !== undefined) return new RefusedByRules({ peer: name, reason: refusal })
    const session: Session = {
      peer,
      from,
      service,
      target: undefined,
      end,
      reason: undefined,
      stopTimer: () => {}
    }
    this.#seat(session)
    this.#awaitExpiry(session)
    return {
      allow: (lengths) => this.#allow(session, lengths),
      bears: (bytes) => bytes <= (this.#allowance(session)?.bytesLeft ?? Infinity),
      waste: (bytes) => this.#allowance(session)?.spend(0, bytes),
      rules: () => (this.#list.find(session.peer.publicKey) ?? session.peer).rules,
      reach: (target) => {
        session.target = target
        const refusal = this.#refusedNow(session)
        return refusal === undefined
          ? undefined
          : new RefusedByRules({ peer: name, reason: refusal })
      },
      connect: () => this.#connect(session),
      spend: (bytes) => {
        const purse = this.#allowance(session)
        purse?.spend(0, bytes)
        return (purse?.bytesLeft ?? Infinity) - bytes >= 0
      },
      expelled: () =>
        session.reason === undefined
          ? undefined
          : new Expelled({ peer: name, reason: session.reason }),
      leave: () => {
        session.stopTimer()
        const sessions = this.#sessions.get(session.peer.name)
        sessions?.delete(session)
        if (sessions?.size === 0) this.#sessions.delete(session.peer.name)
      }
    }
  }

  #seat(session: Session): void {
    const { name } = session.peer
    const sessions = this.#sessions.get(name) ?? new Set()
    this.#sessions.set(name, sessions.add(session))
  }

  #refusal(
    peer: AuthorizedPeer,
    from: string,
    service: Rules.Service | undefined
  ): string | undefined {
    const { connections, where } = peer.rules
    if (connections !== undefined && (this.#sessions.get(peer.name)?.size ?? 0) >= connections)
      return `it has ${connections} connections already (${where})`
    return Rules.refusal(peer.rules, attemptOf(from, this.#timers.now, service))
  }

  /** Ends a session that the list of now does not let in; true when it did. */
  #recheck(session: Session): boolean {
    if (session.reason !== undefined) return false
    const refused = this.#refusedNow(session)
    if (refused === undefined) {
      this.#awaitExpiry(session)
      return false
    }
    session.reason = refused
    session.stopTimer()
    session.end()
    return true
  }

  /** Why the list of now does not let it do what it does. */
  #refusedNow({ peer: { publicKey }, from, service, target }: Session): string | undefined {
    const peer = this.#list.find(publicKey)
    if (peer === undefined) return "its key is not in authorized_peers"
    const attempt = attemptOf(from, this.#timers.now, service)
    return Rules.refusal(peer.rules, target === undefined ? attempt : { ...attempt, target })
  }

  #connect({ peer: { publicKey, name } }: Session): RefusedByRules | undefined {
    const { connectionsPerMinute, where } = this.#list.find(publicKey)?.rules ?? {}
    if (connectionsPerMinute === undefined) return undefined
    const { connections } = this.#spentBy(name)
    if (connections.left(connectionsPerMinute, this.#timers.now) < 1)
      return new RefusedByRules({
        peer: name,
        reason: `it has made ${connectionsPerMinute} connections in a minute (${where})`
      })
    connections.spend(1)
    return undefined
  }

  #spentBy(name: string): Spent {
    const { now } = this.#timers
    const spent = this.#spent.get(name) ?? {
      messages: new TokenBucket(now),
      bytes: new TokenBucket(now),
      connections: new TokenBucket(now)
    }
    this.#spent.set(name, spent)
    return spent
  }

  #awaitExpiry(session: Session): void {
    session.stopTimer()
    const expires = this.#list.find(session.peer.publicKey)?.rules.expires
    if (expires === undefined) return
    const wait = Math.min(Math.max(0, expires - this.#timers.now), longestSleep)
    session.stopTimer = this.#timers.schedule(wait, () => this.#recheck(session))
  }

  #allow(session: Session, lengths: ReadonlyArray<number>): number {
    // Who was put out has nothing more handled, whatever had come.
    if (session.reason !== undefined) return 0
    const purse = this.#allowance(session)
    if (purse === undefined) return lengths.length
    let { messagesLeft, bytesLeft } = purse
    let allowed = 0
    for (const length of lengths) {
      if (messagesLeft < 1 || bytesLeft < length) break
      messagesLeft--
      bytesLeft -= length
      purse.spend(1, length)
      allowed++
    }
    return allowed
  }

  /** What a peer that is limited may still send now; undefined for one that is not. */
  #allowance({ peer: { publicKey, name } }: Session): Allowance | undefined {
    const { messagesPerMinute, bytesPerMinute } = this.#list.find(publicKey)?.rules ?? {}
    if (messagesPerMinute === undefined && bytesPerMinute === undefined) return undefined
    const { now } = this.#timers
    const spent = this.#spentBy(name)
    return {
      messagesLeft:
        messagesPerMinute === undefined ? Infinity : spent.messages.left(messagesPerMinute, now),
      bytesLeft: bytesPerMinute === undefined ? Infinity : spent.bytes.left(bytesPerMinute, now),
      spend: (messages, bytes) => {
        // What is not limited is not counted: it would never go down.
        if (messagesPerMinute !== undefined) spent.messages.spend(messages)
        if (bytesPerMinute !== undefined) spent.bytes.spend(bytes)
      }
    }
  }
}

interface Allowance {
  readonly messagesLeft: number
  readonly bytesLeft: number
  readonly spend: (messages: number, bytes: number) => void
}
