// authorized_peers while a server runs: read, watched, and read again.
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import * as FileChange from "../keys/FileChange.ts"
import * as PeerFiles from "../keys/PeerFiles.ts"
import { PeerList } from "../keys/PeerList.ts"
import { parseAuthorized, PeersInvalid } from "../keys/Peers.ts"
import { Roster } from "../programs/Roster.ts"
import { Event } from "./words.ts"

/**
 * The roster of a file. It follows the file: when it changes, and on SIGHUP, it is read again; a file with a fault, or one that
 * has gone, leaves the last good list in its place, and is told of loudly.
 */
export const follow = (
  file: string,
  tell: (event: Event) => Effect.Effect<void>
): Effect.Effect<Roster, PeersInvalid, Scope.Scope> =>
  Effect.gen(function* () {
    const known = yield* FileChange.stateOf(file)
    let text = yield* PeerFiles.read(file)
    const roster = yield* Roster.make(new PeerList(yield* parseAuthorized(file, text)), "message")
    const one = yield* Effect.makeSemaphore(1)

    const reload = (asked: boolean) =>
      Effect.gen(function* () {
        const read = yield* Effect.either(readAgain(file))
        if (Either.isLeft(read)) return yield* tell(Event.PeersKept({ file, fault: read.left.message, keys: roster.size }))
        if (read.right.text === text && !asked) return
        text = read.right.text
        const ended = roster.replace(new PeerList(read.right.peers))
        yield* tell(Event.PeersReloaded({ file, keys: roster.size, ended }))
      }).pipe(one.withPermits(1))

    yield* Effect.forkScoped(
      Effect.iterate(known, {
        while: () => true,
        body: (state) => Effect.tap(FileChange.next(file, state), () => reload(false))
      })
    )
    yield* Effect.forkScoped(Effect.forever(Effect.zipRight(hangUp, reload(true))))
    return roster
  })

const readAgain = (file: string) =>
  Effect.gen(function* () {
    // Or a file that is moved away for a moment would put everybody out.
    if ((yield* FileChange.stateOf(file)) === "")
      return yield* new PeersInvalid({ file, line: 0, column: 0, detail: "has gone; to let nobody in, leave an empty file" })
    const text = yield* PeerFiles.read(file)
    return { text, peers: yield* parseAuthorized(file, text) }
  })

/** Done at the next SIGHUP. */
export const hangUp: Effect.Effect<void> = Effect.async((resume) => {
  const heard = () => resume(Effect.void)
  process.once("SIGHUP", heard)
  return Effect.sync(() => process.off("SIGHUP", heard))
})
