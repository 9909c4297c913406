// Live reload of authorized_peers: a server's peer list follows its file without a restart.
// PEERS.md.
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as AuthorizedPeers from "../peers/AuthorizedPeers.ts"
import { PeerList } from "../peers/PeerList.ts"
import type { AnyOption } from "../peers/OptionSpec.ts"
import type { AuthorizedPeer, PeersInvalid } from "../peers/Peers.ts"
import { PeerSessions } from "./PeerSessions.ts"

/** A change of the list that a server uses. */
export type ReloadEvent = Data.TaggedEnum<{
  /** A new list is in force. `ended` counts the sessions that it ended. */
  Reloaded: {
    readonly file: string
    readonly peers: ReadonlyArray<AuthorizedPeer>
    readonly ended: number
  }
  /** The file is invalid or missing. The previous list of `keys` keys stays in force. */
  Kept: { readonly file: string; readonly fault: PeersInvalid; readonly keys: number }
}>
/** The constructors and `$match`. */
export const ReloadEvent: Data.TaggedEnum.Constructor<ReloadEvent> = Data.taggedEnum<ReloadEvent>()

/** Largest number of events that wait for `on`; the oldest are dropped beyond. */
const maxPendingEvents = 64

/** Options of `follow`. */
export interface Options {
  /** Each element reads the file at once: a SIGHUP, for example. */
  readonly reload?: Stream.Stream<unknown>
  /**
   * Receives each reload in a fiber of its own: a slow handler delays no reload, and the oldest
   * events beyond `maxPendingEvents` are dropped.
   */
  readonly on?: (event: ReloadEvent) => Effect.Effect<void>
}

/**
 * Loads an authorized_peers file, whose lines may have these options, and follows it until the
 * scope closes. A new list takes effect at once, and ends sessions that it does not allow. Fails
 * with `PeersInvalid` if the file is invalid at the start; an invalid or missing file later leaves
 * the previous list in force.
 *
 * @example
 * const peers = yield* PeerReload.follow("./authorized_peers", ruleOptions(), { on: Effect.log })
 * yield* Server.listen({ peers, keys: Server.identity(peers), ...options })
 */
export const follow = (
  file: string,
  ruleOptions: ReadonlyArray<AnyOption>,
  { reload = Stream.empty, on = () => Effect.void }: Options = {}
): Effect.Effect<PeerSessions, PeersInvalid, Scope.Scope> =>
  Effect.gen(function* () {
    const { peers, changes } = yield* AuthorizedPeers.follow(file, ruleOptions, reload)
    const sessions = yield* PeerSessions.make(yield* PeerList.inTurns(peers))
    const events = yield* Queue.sliding<ReloadEvent>(maxPendingEvents)
    yield* Effect.forkScoped(Effect.forever(Effect.flatMap(Queue.take(events), on)))
    const put = (peers: ReadonlyArray<AuthorizedPeer>) =>
      Effect.gen(function* () {
        const ended = yield* sessions.replaceInTurns(yield* PeerList.inTurns(peers))
        return ReloadEvent.Reloaded({ file, peers, ended })
      })
    yield* Effect.forkScoped(
      Stream.runForEach(changes, (change) =>
        Effect.gen(function* () {
          const event = Either.isRight(change)
            ? yield* put(change.right)
            : ReloadEvent.Kept({ file, fault: change.left, keys: sessions.size })
          yield* Queue.offer(events, event)
        })
      )
    )
    return sessions
  })
