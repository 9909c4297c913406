// Who may come in, who is in, and how much each may still send: authorized_peers while a server runs. keys/PEERS.md.
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type { Guest } from "../channel/Handshake.ts"
import type { PeerList } from "../keys/PeerList.ts"
import type { AuthorizedPeer } from "../keys/Peers.ts"
import * as Rules from "../keys/Rules.ts"
import { Alarms } from "../transports/Alarms.ts"
import { Bucket } from "./Bucket.ts"

/** A session was ended by this side: its key is not let in any more. The peer is not told why. */
export class Expelled extends Data.TaggedError("Expelled")<{ readonly peer: string; readonly reason: string }> {
  override get message(): string {
    return `${this.peer} was put out: ${this.reason}`
  }
}

/** A peer's rules do not allow what it asks, or not so much of it. The peer is told that, and no more. */
export class RefusedByRules extends Data.TaggedError("RefusedByRules")<{ readonly peer: string; readonly reason: string }> {
  override get message(): string {
    return `${this.peer} was refused: ${this.reason}`
  }
}

/** A peer that is in. */
export interface Seat {
  /** How many of these messages, by their lengths in bytes, its rules allow now; they are counted as sent. */
  readonly allow: (lengths: ReadonlyArray<number>) => number
  /** Why it was put out. */
  readonly expelled: () => Expelled | undefined
  readonly leave: () => void
}

interface Session {
  readonly peer: AuthorizedPeer
  readonly from: string
  readonly end: () => void
  reason: string | undefined
  stopAlarm: () => void
}

interface Spent {
  readonly messages: Bucket
  readonly bytes: Bucket
}

/** The longest sleep to an expiry; timers know no more than 24 days. */
const longestSleep = 24 * 60 * 60 * 1000

/**
 * @example
 * const roster = yield* Roster.make(new PeerList(yield* parseAuthorized("authorized_peers", text)), "message")
 * yield* Server.serve({ roster, keys: { authorize: roster.authorize, ... }, ... }) // later: roster.replace(another list)
 */
export class Roster {
  #list: PeerList
  readonly #service: Rules.Service
  readonly #alarms: Alarms
  /** Who is in, by name: a peer with several keys is one peer. */
  readonly #sessions = new Map<string, Set<Session>>()
  /** What each has used up; it outlives its sessions, or a new connection would be a new minute. */
  readonly #spent = new Map<string, Spent>()

  /** On the clock of this fiber. */
  static make(list: PeerList, service: Rules.Service): Effect.Effect<Roster> {
    return Effect.map(Alarms.here, (alarms) => new Roster(list, service, alarms))
  }

  private constructor(list: PeerList, service: Rules.Service, alarms: Alarms) {
    this.#list = list
    this.#service = service
    this.#alarms = alarms
  }

  /** How many keys are known. */
  get size(): number {
    return this.#list.size
  }

  /** For the handshake: the peer, or why it is not let in. */
  readonly authorize = (publicKey: Uint8Array, from: string): Guest | string => {
    const peer = this.#list.find(publicKey)
    if (peer === undefined) return "its key is not in authorized_peers"
    const refusal = Rules.refusal(peer.rules, { from, now: this.#alarms.now })
    if (refusal !== undefined) return refusal
    const { sharedKey } = peer.rules
    return sharedKey === undefined ? { name: peer.name } : { name: peer.name, sharedKey }
  }

  /** Takes the place of the list. Sessions whose key it does not let in are ended now; gives how many. */
  replace(list: PeerList): number {
    this.#list = list
    const known = new Set(list.all.map(({ name }) => name))
    for (const name of this.#spent.keys()) if (!known.has(name)) this.#spent.delete(name)
    let ended = 0
    for (const sessions of this.#sessions.values()) for (const session of sessions) if (this.#recheck(session)) ended++
    return ended
  }

  /** A peer that the handshake let in takes its seat; `end` cuts its connection. Its rules are those of now, on. */
  enter(publicKey: Uint8Array, from: string, end: () => void): Seat | RefusedByRules {
    const peer = this.#list.find(publicKey)
    // Between the handshake and now the list may have changed.
    if (peer === undefined) return new RefusedByRules({ peer: from, reason: "its key is not in authorized_peers any more" })
    const { name } = peer
    const refusal = this.#refusal(peer, from)
    if (refusal !== undefined) return new RefusedByRules({ peer: name, reason: refusal })
    const session: Session = { peer, from, end, reason: undefined, stopAlarm: () => {} }
    const sessions = this.#sessions.get(name) ?? new Set()
    this.#sessions.set(name, sessions.add(session))
    this.#awaitExpiry(session)
    return {
      allow: (lengths) => this.#allow(session, lengths),
      expelled: () => (session.reason === undefined ? undefined : new Expelled({ peer: name, reason: session.reason })),
      leave: () => {
        session.stopAlarm()
        sessions.delete(session)
        if (sessions.size === 0 && this.#sessions.get(name) === sessions) this.#sessions.delete(name)
      }
    }
  }

  #refusal(peer: AuthorizedPeer, from: string): string | undefined {
    const { connections, where } = peer.rules
    if (connections !== undefined && (this.#sessions.get(peer.name)?.size ?? 0) >= connections)
      return `it has ${connections} connections already (${where})`
    return Rules.refusal(peer.rules, { from, now: this.#alarms.now, service: this.#service })
  }

  /** Ends a session that the list of now does not let in; true when it did. */
  #recheck(session: Session): boolean {
    if (session.reason !== undefined) return false
    const refused = this.authorize(session.peer.publicKey, session.from)
    if (typeof refused !== "string") {
      this.#awaitExpiry(session)
      return false
    }
    session.reason = refused
    session.stopAlarm()
    session.end()
    return true
  }

  #awaitExpiry(session: Session): void {
    session.stopAlarm()
    const expires = this.#list.find(session.peer.publicKey)?.rules.expires
    if (expires === undefined) return
    const wait = Math.min(Math.max(0, expires - this.#alarms.now), longestSleep)
    session.stopAlarm = this.#alarms.set(wait, () => this.#recheck(session))
  }

  #allow({ peer: { publicKey, name } }: Session, lengths: ReadonlyArray<number>): number {
    const { messagesPerMinute = Infinity, bytesPerMinute = Infinity } = this.#list.find(publicKey)?.rules ?? {}
    if (messagesPerMinute === Infinity && bytesPerMinute === Infinity) return lengths.length
    const { now } = this.#alarms
    const spent = this.#spent.get(name) ?? {
      messages: new Bucket(messagesPerMinute, now),
      bytes: new Bucket(bytesPerMinute, now)
    }
    this.#spent.set(name, spent)
    let messagesLeft = messagesPerMinute === Infinity ? Infinity : spent.messages.left(messagesPerMinute, now)
    let bytesLeft = bytesPerMinute === Infinity ? Infinity : spent.bytes.left(bytesPerMinute, now)
    let allowed = 0
    for (const length of lengths) {
      if (messagesLeft < 1 || bytesLeft < length) break
      messagesLeft--
      bytesLeft -= length
      spent.messages.spend(1)
      spent.bytes.spend(length)
      allowed++
    }
    return allowed
  }
}
