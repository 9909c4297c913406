// The authorized_peers file of a server: loaded, then followed while it changes. PEERS.md.
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as FileWatcher from "../keys/FileWatcher.ts"
import * as PeerFiles from "./PeerFiles.ts"
import type { AnyOption } from "./OptionSpec.ts"
import { parseAuthorizedInTurns, PeersInvalid, type AuthorizedPeer } from "./Peers.ts"

type Peers = ReadonlyArray<AuthorizedPeer>

/** The list of the file at the start, and each later version of it. */
export interface Followed {
  readonly peers: Peers
  /**
   * Emits a new list, or the fault of a file that is invalid or missing. Runs until interrupted.
   */
  readonly changes: Stream.Stream<Change>
}

/**
 * Loads the file and follows it. The file is polled every 250 ms; each element of `reload` reads
 * it at once, and emits a list even if nothing changed. A rewrite with the same text emits nothing.
 * A missing file is an empty list at the start, and a fault later. Long files are read in turns of
 * the event loop.
 *
 * @example
 * const { peers, changes } = yield* AuthorizedPeers.follow("./authorized_peers", ruleOptions())
 * yield* Effect.forkScoped(Stream.runForEach(changes, Effect.log))
 */
export const follow = (
  file: string,
  ruleOptions: ReadonlyArray<AnyOption>,
  reload: Stream.Stream<unknown> = Stream.empty
): Effect.Effect<Followed, PeersInvalid> =>
  Effect.gen(function* () {
    // The state is taken before the file is read: a change between the two is then detected.
    const state = yield* FileWatcher.stateOf(file)
    const { text, peers } = yield* load(file, ruleOptions)
    const polled = Stream.unfoldEffect(state, (known) =>
      Effect.map(FileWatcher.waitForChange(file, known), (next) =>
        Option.some([false, next] as const)
      )
    )
    const requested = Stream.map(reload, () => true)
    const changes = Stream.merge(polled, requested).pipe(
      Stream.mapAccumEffect(text, (before, isRequested) =>
        nextVersion(file, ruleOptions, before, isRequested)
      ),
      Stream.filterMap((change) => change)
    )
    return { peers, changes }
  })

type Change = Either.Either<Peers, PeersInvalid>

/** Returns the text to compare the next version with, and the change to emit, if any. */
const nextVersion = (
  file: string,
  ruleOptions: ReadonlyArray<AnyOption>,
  before: string,
  isRequested: boolean
): Effect.Effect<readonly [text: string, change: Option.Option<Change>]> =>
  Effect.match(loadExisting(file, ruleOptions), {
    onFailure: (fault) => [before, Option.some<Change>(Either.left(fault))],
    onSuccess: ({ text, peers }) => [
      text,
      text === before && !isRequested ? Option.none() : Option.some<Change>(Either.right(peers))
    ]
  })

const load = (file: string, ruleOptions: ReadonlyArray<AnyOption>) =>
  Effect.gen(function* () {
    const text = yield* PeerFiles.read(file)
    return { text, peers: yield* parseAuthorizedInTurns(ruleOptions, file, text) }
  })

/** Fails for a missing file: a file that is replaced in two steps must not end every session. */
const loadExisting = (file: string, ruleOptions: ReadonlyArray<AnyOption>) =>
  Effect.flatMap(FileWatcher.stateOf(file), (state) =>
    state === ""
      ? new PeersInvalid({
          file,
          line: 0,
          column: 0,
          detail: "the file is missing; to authorize nobody, leave an empty file"
        })
      : load(file, ruleOptions)
  )
