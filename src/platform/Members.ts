// Who is in a cluster: each member by its key, each runner's address bound to one of them; and the same while it changes.
import type { RunnerAddress } from "@effect/cluster/RunnerAddress"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { PeerList } from "../peers/PeerList.ts"
import type { AuthorizedPeer } from "../peers/Peers.ts"
import { expected, isName } from "../peers/PeerName.ts"
import * as PublicKey from "../keys/PublicKey.ts"
import type { Rules } from "../peers/Rules.ts"
import { excerpt } from "../bytes/excerpt.ts"
import { PeerSessions } from "../services/PeerSessions.ts"

/** A process of the cluster. */
export interface Member {
  /** What it is called in logs: as in authorized_peers, and no other member's. */
  readonly name: string
  /** 32 bytes; no other member's. */
  readonly publicKey: Uint8Array
  /** Where it serves, as the `runnerAddress` of its ShardingConfig has it; none where it only calls (`layerClientOnly`). */
  readonly address?: RunnerAddress
  /** What the runners allow it, as a line of authorized_peers does: `rpcs` of `Ping`, `Notify`, `Effect`, `Stream`, `Envelope`; `from`, `expires` … */
  readonly rules?: Partial<Rules>
}

/** A list of members that cannot be used. */
export class MembersInvalid extends Data.TaggedError("MembersInvalid")<{
  readonly detail: string
}> {
  override get message(): string {
    return `the list of members cannot be used: ${this.detail}`
  }
}

/** This process is not what the list of members says is there. */
export class NotAMember extends Data.TaggedError("NotAMember")<{
  /** Of this process, as peers files write it. */
  readonly publicKey: string
  readonly detail: string
}> {
  override get message(): string {
    return `this runner cannot join: ${this.detail}; its key is ${this.publicKey}`
  }
}

/** The list has no runner at this address, whatever the storage says: it is not called. */
export class RunnerUnknown extends Data.TaggedError("RunnerUnknown")<{ readonly address: string }> {
  override get message(): string {
    return `${this.address} is no runner of the list of members, and is not called; if it belongs there, add it with its key`
  }
}

/** What answers at a runner's address has not proven the runner's key. */
export class RunnerRefused extends Data.TaggedError("RunnerRefused")<{
  readonly runner: string
  readonly address: string
  /** The runner's, as peers files write it. */
  readonly publicKey: string
  readonly reason: string
}> {
  override get message(): string {
    return (
      `${this.address} did not prove that it is ${this.runner}, whose key is ${this.publicKey} (${this.reason}), and is not spoken to; ` +
      `either something else answers there, or its list does not have our key`
    )
  }
}

/** A call of a runner, and how it ends with its place in the list. */
interface Call {
  readonly address: string
  readonly publicKey: Uint8Array
  readonly end: () => void
}

export class Members {
  #list: Listed
  /** Who may call, and who does. */
  readonly sessions: PeerSessions
  readonly #calls = new Set<Call>()

  static make(list: ReadonlyArray<Member>): Effect.Effect<Members, MembersInvalid> {
    return Effect.flatMap(listed(list), (listed) =>
      Effect.map(PeerSessions.make(listed.callers), (sessions) => new Members(listed, sessions))
    )
  }

  private constructor(list: Listed, sessions: PeerSessions) {
    this.#list = list
    this.sessions = sessions
  }

  /** For the handshake of a caller. */
  readonly authorize = (
    publicKey: Uint8Array,
    from: string
  ): ReturnType<PeerSessions["authorize"]> =>
    this.#list.callers.find(publicKey) === undefined
      ? "its key is not in the list of members"
      : this.sessions.authorize(publicKey, from)

  /** The runner that belongs to this address. */
  at(address: RunnerAddress): Member | undefined {
    return this.#list.runners.get(textOf(address))
  }

  has(publicKey: Uint8Array): boolean {
    return this.#list.callers.find(publicKey) !== undefined
  }

  /** Fails when the list has, from then on, another runner at this address, or none. */
  left(address: RunnerAddress): Effect.Effect<never, RunnerUnknown> {
    return Effect.async((resume) => {
      const runner = this.at(address)
      // Who calls it says so.
      if (runner === undefined) return
      const end = () => resume(new RunnerUnknown({ address: textOf(address) }))
      const call: Call = { address: textOf(address), publicKey: runner.publicKey, end }
      this.#calls.add(call)
      return Effect.sync(() => this.#calls.delete(call))
    })
  }

  /** Takes the place of the list: who is not in it any more neither calls nor is called, from now on. */
  replace(list: ReadonlyArray<Member>): Either.Either<void, MembersInvalid> {
    return Either.map(listed(list), (listed) => {
      this.#list = listed
      this.sessions.replace(listed.callers)
      for (const call of this.#calls) {
        const now = listed.runners.get(call.address)
        if (now !== undefined && Buffer.compare(now.publicKey, call.publicKey) === 0) continue
        this.#calls.delete(call)
        call.end()
      }
    })
  }
}

export const textOf = ({ host, port }: RunnerAddress): string =>
  `${host.includes(":") ? `[${host}]` : host}:${port}`

interface Listed {
  readonly callers: PeerList
  readonly runners: ReadonlyMap<string, Member>
}

interface Seen {
  readonly runners: Map<string, Member>
  readonly names: Set<string>
  readonly keys: Map<string, string>
}

const listed = (list: ReadonlyArray<Member>): Either.Either<Listed, MembersInvalid> => {
  const seen: Seen = { runners: new Map(), names: new Set(), keys: new Map() }
  for (const member of list) {
    const detail = faultOf(member, seen)
    if (detail !== undefined) return Either.left(new MembersInvalid({ detail }))
    seen.names.add(member.name)
    seen.keys.set(keyOf(member), member.name)
    if (member.address !== undefined) seen.runners.set(textOf(member.address), member)
  }
  const callers = list.map(({ name, publicKey, rules }, index): AuthorizedPeer => ({
    name,
    publicKey,
    rules: { where: `member ${name}`, ...rules },
    line: index + 1
  }))
  return Either.right({ runners: seen.runners, callers: new PeerList(callers) })
}

const faultOf = (member: Member, { runners, names, keys }: Seen): string | undefined => {
  const { name, publicKey, address } = member
  if (!isName(name)) return `${excerpt(name)} is no name: ${expected}`
  if (names.has(name)) return `two members have the name ${name}`
  if (publicKey.length !== 32) return `the key of ${name} has ${publicKey.length} bytes, and not 32`
  const namesake = keys.get(keyOf(member))
  if (namesake !== undefined) return `${namesake} and ${name} have one key`
  const neighbour = address === undefined ? undefined : runners.get(textOf(address))
  return neighbour === undefined ? undefined : `${neighbour.name} and ${name} have one address`
}

const keyOf = ({ publicKey }: Member): string => PublicKey.encode(publicKey)
