// authorized_peers while a server runs: SIGHUP reloads it, and each reload is an event.
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { AuthorizedPeer, PeersInvalid } from "../../peers/Peers.ts"
import * as Rules from "../../peers/Rules.ts"
import { ruleOptions } from "../../services/builtin/index.ts"
import * as PeerReload from "../../services/PeerReload.ts"
import type { PeerSessions } from "../../services/PeerSessions.ts"
import { Event } from "../output/events/index.ts"

/**
 * Follows the file of a server whose shared keys have these names, and warns of each line that
 * names another shared key.
 */
export const follow = (
  file: string,
  sharedKeys: ReadonlyArray<string>,
  hangUps: Queue.Dequeue<void>,
  emit: (event: Event) => Effect.Effect<void>
): Effect.Effect<PeerSessions, PeersInvalid, Scope.Scope> =>
  Effect.gen(function* () {
    const warn = (peers: ReadonlyArray<AuthorizedPeer>) =>
      Effect.forEach(
        peers,
        ({ name, rules, line }) => {
          const sharedKey = rules.get(Rules.sharedKey)
          return rules.get(Rules.revoked) ||
            sharedKey === undefined ||
            sharedKeys.includes(sharedKey)
            ? Effect.void
            : emit(Event.SharedKeyUnknown({ file, line, name, sharedKey, sharedKeys }))
        },
        { discard: true }
      )
    const sessions = yield* PeerReload.follow(file, ruleOptions(), {
      reload: Stream.fromQueue(hangUps, { maxChunkSize: 1 }),
      on: PeerReload.ReloadEvent.$match({
        Kept: ({ fault, keys }) =>
          emit(Event.PeersReloadFailed({ file, fault: fault.message, keys })),
        Reloaded: ({ peers, ended }) =>
          Effect.zipRight(
            emit(Event.PeersReloaded({ file, keys: peers.length, ended })),
            warn(peers)
          )
      })
    })
    yield* warn(sessions.list.all)
    return sessions
  })

/**
 * A queue of SIGHUPs; several that arrive together count as one. While the scope is open, a SIGHUP
 * does not end the process.
 */
export const hangUps: Effect.Effect<Queue.Dequeue<void>, never, Scope.Scope> = Effect.gen(
  function* () {
    const received = yield* Queue.sliding<void>(1)
    const receive = () => received.unsafeOffer(undefined)
    yield* Effect.acquireRelease(
      Effect.sync(() => process.on("SIGHUP", receive)),
      () => Effect.sync(() => process.off("SIGHUP", receive))
    )
    return received
  }
)
