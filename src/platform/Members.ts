// The members of a cluster: each has a key of its own, each runner's address is bound to one key.
// The list may change while the cluster runs.
import type { RunnerAddress } from "@effect/cluster/RunnerAddress"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { PeerList } from "../peers/PeerList.ts"
import type { AuthorizedPeer } from "../peers/Peers.ts"
import { expected, isName } from "../peers/PeerName.ts"
import * as PublicKey from "../keys/PublicKey.ts"
import { unrestricted, type Rules } from "../peers/Rules.ts"
import { excerpt, shown } from "../bytes/excerpt.ts"
import * as Address from "../transports/Address.ts"
import { PeerSessions } from "../services/PeerSessions.ts"

/** A process of a cluster. */
export interface Member {
  /** Its name in logs: a peer name, unique in the list. */
  readonly name: string
  /** 32 bytes; unique in the list. */
  readonly publicKey: Uint8Array
  /** The `runnerAddress` of its ShardingConfig; undefined for a `layerClientOnly`. */
  readonly address?: RunnerAddress
  /**
   * Its rules on all runners, as in a line of authorized_peers: `RpcRules.rpcs` (of `Ping`,
   * `Notify`, `Effect`, `Stream`, `Envelope`), `Rules.from`, `Rules.expiry` …
   */
  readonly rules?: Rules
}

/** The list of members is invalid. */
export class MembersInvalid extends Data.TaggedError("MembersInvalid")<{
  readonly detail: string
}> {
  override get message(): string {
    return `invalid list of members: ${this.detail}`
  }
}

/** The list of members does not have this process, or has it with another address or key. */
export class NotAMember extends Data.TaggedError("NotAMember")<{
  /** The key of this process, encoded as in peers files. */
  readonly publicKey: string
  readonly detail: string
}> {
  override get message(): string {
    return `this runner cannot join the cluster: ${this.detail}; its key is ${this.publicKey}`
  }
}

/** The list has no runner at this address, so it is not called, even if the storage has it. */
export class RunnerUnknown extends Data.TaggedError("RunnerUnknown")<{ readonly address: string }> {
  override get message(): string {
    return (
      `${shown(this.address)} is not a runner in the list of members, and is not called; ` +
      `if it belongs to the cluster, add it with its key`
    )
  }
}

/** The process at a runner's address has not authenticated with the runner's key. */
export class RunnerRefused extends Data.TaggedError("RunnerRefused")<{
  readonly runner: string
  readonly address: string
  /** The runner's key, encoded as in peers files. */
  readonly publicKey: string
  readonly reason: string
}> {
  override get message(): string {
    return (
      `${shown(this.address)} did not authenticate as ${this.runner} with the key ${this.publicKey} ` +
      `(${this.reason}), and is not used; ` +
      `either another process listens there, or its list of members lacks this runner's key`
    )
  }
}

/** An open connection to a runner. */
interface RunnerCall {
  readonly address: string
  readonly publicKey: Uint8Array
  /** Ends the connection when the runner leaves the list. */
  readonly end: () => void
}

export class Members {
  #list: MemberIndex
  /** The members that may call, and their sessions. */
  readonly sessions: PeerSessions
  readonly #calls = new Set<RunnerCall>()

  static make(list: ReadonlyArray<Member>): Effect.Effect<Members, MembersInvalid> {
    return Effect.flatMap(indexOf(list), (index) =>
      Effect.map(PeerSessions.make(index.callers), (sessions) => new Members(index, sessions))
    )
  }

  private constructor(list: MemberIndex, sessions: PeerSessions) {
    this.#list = list
    this.sessions = sessions
  }

  /** Authorizes a caller in its handshake: returns its name, or the reason of the refusal. */
  readonly authorize = (
    publicKey: Uint8Array,
    from: string
  ): ReturnType<PeerSessions["authorize"]> =>
    this.#list.callers.find(publicKey) === undefined
      ? "its key is not in the list of members"
      : this.sessions.authorize(publicKey, from)

  /** Returns the runner with this address. */
  at(address: RunnerAddress): Member | undefined {
    return this.#list.runners.get(formatAddress(address))
  }

  has(publicKey: Uint8Array): boolean {
    return this.#list.callers.find(publicKey) !== undefined
  }

  /** Fails once the runner at this address leaves the list, or its key is replaced. */
  untilRemoved(address: RunnerAddress): Effect.Effect<never, RunnerUnknown> {
    return Effect.async((resume) => {
      const runner = this.at(address)
      // The caller reports a runner that is not in the list.
      if (runner === undefined) return
      const end = () => resume(new RunnerUnknown({ address: formatAddress(address) }))
      const call: RunnerCall = { address: formatAddress(address), publicKey: runner.publicKey, end }
      this.#calls.add(call)
      return Effect.sync(() => this.#calls.delete(call))
    })
  }

  /** Replaces the list, and ends all connections of members that it no longer has. */
  replace(list: ReadonlyArray<Member>): Either.Either<void, MembersInvalid> {
    return Either.map(indexOf(list), (index) => {
      this.#list = index
      this.sessions.replace(index.callers)
      for (const call of this.#calls) {
        const current = index.runners.get(call.address)
        if (current !== undefined && Buffer.compare(current.publicKey, call.publicKey) === 0)
          continue
        this.#calls.delete(call)
        call.end()
      }
    })
  }
}

/** Formats as transports do, in one form for every spelling: "10.0.0.1:34431", "[::1]:34431". */
export const formatAddress = ({ host, port }: RunnerAddress): string =>
  Address.format(Address.tcp(host, port))

interface MemberIndex {
  readonly callers: PeerList
  readonly runners: ReadonlyMap<string, Member>
}

/** The members before the one that is checked. */
interface CheckedMembers {
  readonly runners: Map<string, Member>
  readonly names: Set<string>
  /** Name of the member with each key. */
  readonly keys: Map<string, string>
}

const indexOf = (list: ReadonlyArray<Member>): Either.Either<MemberIndex, MembersInvalid> => {
  const checked: CheckedMembers = { runners: new Map(), names: new Set(), keys: new Map() }
  for (const member of list) {
    const detail = invalidity(member, checked)
    if (detail !== undefined) return Either.left(new MembersInvalid({ detail }))
    checked.names.add(member.name)
    checked.keys.set(keyOf(member), member.name)
    if (member.address !== undefined) checked.runners.set(formatAddress(member.address), member)
  }
  const callers = list.map(({ name, publicKey, rules = unrestricted }, index): AuthorizedPeer => ({
    name,
    publicKey,
    rules: rules.at(`member ${name}`),
    line: index + 1
  }))
  return Either.right({ runners: checked.runners, callers: new PeerList(callers) })
}

/** Returns why the member cannot be added to the list. */
const invalidity = (
  member: Member,
  { runners, names, keys }: CheckedMembers
): string | undefined => {
  const { name, publicKey, address } = member
  if (!isName(name)) return `${excerpt(name)} is not a valid name: ${expected}`
  if (names.has(name)) return `duplicate name ${name}`
  if (publicKey.length !== 32)
    return `the key of ${name} has ${publicKey.length} bytes instead of 32`
  const sameKey = keys.get(keyOf(member))
  if (sameKey !== undefined) return `${sameKey} and ${name} have the same key`
  if (address !== undefined && !Address.isHost(address.host))
    return `the address of ${name} has an invalid host: ${excerpt(address.host)}`
  const sameAddress = address === undefined ? undefined : runners.get(formatAddress(address))
  return sameAddress === undefined
    ? undefined
    : `${sameAddress.name} and ${name} have the same address`
}

const keyOf = ({ publicKey }: Member): string => PublicKey.encode(publicKey)
