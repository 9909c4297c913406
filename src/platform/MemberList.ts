// The list of members as a service of the cluster's layers, and the checks at start-up.
import type { RunnerAddress } from "@effect/cluster/RunnerAddress"
import { RunnerStorage } from "@effect/cluster/RunnerStorage"
import { ShardingConfig } from "@effect/cluster/ShardingConfig"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { KeyPair } from "../keys/KeyPair.ts"
import * as PublicKey from "../keys/PublicKey.ts"
import {
  formatAddress,
  Members,
  NotAMember,
  RunnerUnknown,
  type Member,
  type MembersInvalid
} from "./Members.ts"
import { WarningLog } from "./WarningLog.ts"

/** The identity of this process, and the members of its cluster. */
export interface MemberOptions {
  /** This process's key pair. */
  readonly identity: KeyPair
  /** All members, this process included. Every process has the same list. */
  readonly members: ReadonlyArray<Member>
  /**
   * Later lists, each replacing the one before: connections of removed members are reset. An
   * invalid list is logged and ignored.
   */
  readonly changes?: Stream.Stream<ReadonlyArray<Member>>
}

/** Errors of a process that cannot join the cluster. */
export type JoinError = MembersInvalid | NotAMember

/** The current list of members. */
export class MemberList extends Context.Tag("sealwire/platform/MemberList")<
  MemberList,
  Members
>() {}

const membersOf = ({
  identity,
  members: first,
  changes = Stream.empty
}: MemberOptions): Effect.Effect<Members, JoinError, Scope.Scope> =>
  Effect.gen(function* () {
    const members = yield* Members.make(first)
    if (!members.has(identity.publicKey))
      return yield* notAMember(identity, "its key is not in the list of members")
    yield* changes.pipe(
      Stream.runForEach((next) =>
        Either.match(members.replace(next), {
          onLeft: ({ message }) => Effect.logError(`${message}; the previous list stays in force`),
          onRight: () => Effect.void
        })
      ),
      Effect.forkScoped
    )
    return members
  })

/** Provides the list for a process that only calls. */
export const layerCaller = (options: MemberOptions): Layer.Layer<MemberList, JoinError> =>
  Layer.scoped(MemberList, membersOf(options))

/** Provides the list for a runner; fails unless the list has its address with its key. */
export const layerRunner = (
  options: MemberOptions
): Layer.Layer<MemberList, JoinError, ShardingConfig> =>
  Layer.scoped(
    MemberList,
    Effect.gen(function* () {
      const { identity } = options
      const members = yield* membersOf(options)
      const { runnerAddress } = yield* ShardingConfig
      if (Option.isNone(runnerAddress))
        return yield* notAMember(
          identity,
          "its ShardingConfig has no runnerAddress; use layerClientOnly for a caller"
        )
      const self = members.at(runnerAddress.value)
      if (self === undefined)
        return yield* notAMember(
          identity,
          `its address, ${formatAddress(runnerAddress.value)}, is not in the list of members`
        )
      if (Buffer.compare(self.publicKey, identity.publicKey) !== 0)
        return yield* notAMember(
          identity,
          `the list of members has ${formatAddress(runnerAddress.value)} as ${self.name}, with another key`
        )
      return members
    })
  )

const notAMember = ({ publicKey }: KeyPair, detail: string) =>
  new NotAMember({ publicKey: PublicKey.encode(publicKey), detail })

/** Hides the runners in the storage that the list does not have. */
export const layerListedRunners: Layer.Layer<
  RunnerStorage,
  never,
  RunnerStorage | MemberList | ShardingConfig
> = Layer.effect(
  RunnerStorage,
  Effect.gen(function* () {
    const storage = yield* RunnerStorage
    const members = yield* MemberList
    const { runnerAddress } = yield* ShardingConfig
    const warnings = new WarningLog()
    // A runner that does not find itself in the storage would register again without end.
    const isListed = (address: RunnerAddress) =>
      members.at(address) !== undefined || Option.exists(runnerAddress, Equal.equals(address))
    return RunnerStorage.of({
      ...storage,
      getRunners: Effect.tap(storage.getRunners, (runners) =>
        Effect.forEach(
          runners.filter(([{ address }]) => !isListed(address)),
          ([{ address }]) =>
            warnings.warn(
              formatAddress(address),
              new RunnerUnknown({ address: formatAddress(address) }).message
            ),
          { discard: true }
        )
      ).pipe(Effect.map((runners) => runners.filter(([{ address }]) => isListed(address))))
    })
  })
)
