// authorized_peers while a server runs: read, watched, and read again.
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as FileWatcher from "../../keys/FileWatcher.ts"
import * as PeerFiles from "../../peers/PeerFiles.ts"
import { PeerList } from "../../peers/PeerList.ts"
import { parseAuthorized, PeersInvalid, type AuthorizedPeer } from "../../peers/Peers.ts"
import { PeerSessions } from "../../services/PeerSessions.ts"
import { Event } from "../output/events/index.ts"

/** What there is to say that nobody has heard yet; beyond, the oldest is left out. */
const mostUntold = 64

/**
 * The roster of a file, on a server whose shared keys have these names. It follows the file: when it changes, and at each hang-up,
 * it is read again; a file with a fault, or one that has gone, leaves the last good list in its place, and is told of loudly.
 */
export const follow = (
  file: string,
  sharedKeys: ReadonlyArray<string>,
  hangUps: Queue.Dequeue<void>,
  tell: (event: Event) => Effect.Effect<void>
): Effect.Effect<PeerSessions, PeersInvalid, Scope.Scope> =>
  Effect.gen(function* () {
    const known = yield* FileWatcher.stateOf(file)
    let text = yield* PeerFiles.read(file)
    const peers = yield* parseAuthorized(file, text)
    const roster = yield* PeerSessions.make(new PeerList(peers))
    const warn = (peers: ReadonlyArray<AuthorizedPeer>) =>
      Effect.forEach(
        peers.filter(
          ({ rules: { revoked, sharedKey } }) =>
            !revoked && sharedKey !== undefined && !sharedKeys.includes(sharedKey)
        ),
        ({ name, rules: { sharedKey = "" }, line }) =>
          tell(Event.SharedKeyUnknown({ file, line, name, sharedKey, sharedKeys })),
        { discard: true }
      )
    yield* warn(peers)
    const one = yield* Effect.makeSemaphore(1)
    // Beside: a reader of our output who stalls must not keep anybody in.
    const untold = yield* Queue.sliding<Effect.Effect<void>>(mostUntold)
    yield* Effect.forkScoped(Effect.forever(Effect.flatten(Queue.take(untold))))
    const say = (telling: Effect.Effect<void>) => Queue.offer(untold, telling)

    const reload = (asked: boolean) =>
      Effect.gen(function* () {
        const read = yield* Effect.either(readAgain(file))
        if (Either.isLeft(read)) {
          yield* say(
            tell(Event.PeersReloadFailed({ file, fault: read.left.message, keys: roster.size }))
          )
          return
        }
        if (read.right.text === text && !asked) return
        text = read.right.text
        const ended = roster.replace(new PeerList(read.right.peers))
        yield* say(
          Effect.zipRight(
            tell(Event.PeersReloaded({ file, keys: roster.size, ended })),
            warn(read.right.peers)
          )
        )
      }).pipe(one.withPermits(1))

    yield* Effect.forkScoped(
      Effect.iterate(known, {
        while: () => true,
        body: (state) => Effect.tap(FileWatcher.waitForChange(file, state), () => reload(false))
      })
    )
    yield* Effect.forkScoped(Effect.forever(Effect.zipRight(Queue.take(hangUps), reload(true))))
    return roster
  })

const readAgain = (file: string) =>
  Effect.gen(function* () {
    // Or a file that is moved away for a moment would put everybody out.
    if ((yield* FileWatcher.stateOf(file)) === "")
      return yield* new PeersInvalid({
        file,
        line: 0,
        column: 0,
        detail: "has gone; to let nobody in, leave an empty file"
      })
    const text = yield* PeerFiles.read(file)
    return { text, peers: yield* parseAuthorized(file, text) }
  })

/** Gives each SIGHUP, and of a storm the last; as long as the scope is open none ends the process. */
export const hangUps: Effect.Effect<Queue.Dequeue<void>, never, Scope.Scope> = Effect.gen(
  function* () {
    const heard = yield* Queue.sliding<void>(1)
    const hear = () => heard.unsafeOffer(undefined)
    yield* Effect.acquireRelease(
      Effect.sync(() => process.on("SIGHUP", hear)),
      () => Effect.sync(() => process.off("SIGHUP", hear))
    )
    return heard
  }
)
