// The server's file service: a folder for each peer, and the rules for what it may do there.
// TRANSFER.md.
import { fsyncSync } from "node:fs"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import { throttle } from "../rules.ts"
import { unrestricted } from "../../peers/Rules.ts"
import { sessionCounter } from "../Metrics.ts"
import { overMemory } from "../PeerBudgets.ts"
import { RefusedByRules, type RuleCheck } from "../PeerSessions.ts"
import type { RemotePeer, Service, ServiceSession } from "../Service.ts"
import { FileWalker } from "./FileWalker.ts"
import { frame, Frames, FrameType, type FrameHeader } from "./Frame.ts"
import { limits } from "./limits.ts"
import type { Entry } from "./Manifest.ts"
import * as Messages from "./Messages.ts"
import { peerTag } from "./PartialFile.ts"
import { Quotas } from "./Quotas.ts"
import { receive } from "./Receiver.ts"
import { SafeDirectories } from "./SafeDirectory.ts"
import { SafePath } from "./SafePath.ts"
import { send } from "./Sender.ts"
import { diskFailed, isFull, type TransferStopped, type DiskFailed } from "./TransferErrors.ts"
import { metrics } from "./metrics.ts"
import { access, fileQuota, folder, name, overwrite, ruleOptions, type Access } from "./rules.ts"
import { noProgress, type TransferProgress } from "./TransferProgress.ts"

/** Files of one sender that are durable. */
export interface StoredFiles {
  readonly sender: RemotePeer
  readonly files: ReadonlyArray<{ readonly path: string; readonly bytes: number }>
}

/** Options of the file service. */
export interface FileServiceOptions {
  /** The served folder; it contains the folders that rules give to single peers. */
  readonly folder: string
  /** Called with files that are durable, several at a time. */
  readonly onStored: (stored: StoredFiles) => Effect.Effect<void>
  /** Called when the disk of this side fails. */
  readonly onDiskFailed: (sender: RemotePeer, failed: DiskFailed) => Effect.Effect<void>
}

/** The errors of a session beside those of every service. */
export type FileServiceError = TransferStopped | DiskFailed

type FileError = ChannelError | RefusedByRules | FileServiceError

/** A request in progress: its session, and the peer's directories. */
interface Request {
  readonly session: ServiceSession
  readonly frames: Frames
  readonly header: FrameHeader
  readonly directories: SafeDirectories
}

/** Returns the service `file` of a Server, which stores pushed files and serves pulled ones. */
export const service = (options: FileServiceOptions): Service<FileServiceError> => {
  const quotas = new Quotas()
  return { name, ruleOptions, run: (session) => serve(session, options, quotas) }
}

const serve = (
  session: ServiceSession,
  options: FileServiceOptions,
  quotas: Quotas
): Effect.Effect<void, FileError, Scope.Scope> =>
  Effect.gen(function* () {
    const { channel, connection, peerSession } = session
    const frames = new Frames(channel)
    const header = yield* frames.readHeader
    if (header === undefined) return
    if (!(yield* session.memory.reserveOrWait(limits.sessionMemory))) {
      yield* sendStop(session, "tooMuch")
      return yield* overMemory(session.remote.peer, session.memory)
    }
    const transfer = Effect.gen(function* () {
      const own = peerSession?.rules().get(folder)
      yield* requireRules(session, hasFolder(own))
      const directories = yield* openFolder(options.folder, own)
      const request = { session, frames, header, directories }
      if (header.type === FrameType.Push) yield* receivePush(request, options, quotas)
      else if (header.type === FrameType.Pull) yield* servePull(request)
      else return yield* frames.violation("the first frame is not PUSH or PULL")
      yield* channel.end
      // The client's FIN shows that it has read everything.
      const extra = yield* frames.readHeader
      if (extra !== undefined) return yield* frames.violation("unexpected frame after the transfer")
    })
    const reported = Effect.tapError(transfer, (error) => {
      const reason = stopReasonOf(error)
      return reason === undefined ? Effect.void : sendStop(session, reason)
    })
    // Closing with this code tells the client to resume in a session with the next server.
    const stopping = Effect.zipRight(connection.draining, channel.setCloseReason("GoingAway"))
    yield* Effect.raceFirst(reported, stopping)
  })

/** Returns why this side stops; undefined if the peer knows it. */
const stopReasonOf = (error: FileError): Messages.StopReason | undefined => {
  if (error._tag === "TransferStopped" && error.side === "here") return error.reason
  if (error._tag !== "DiskFailed") return undefined
  if (!isFull(error.code)) return "diskFailed"
  // A receiver whose disk is full has said so, after its receipts.
  return error.isReceiver === true ? undefined : "diskFull"
}

/** Sends STOP; a lost connection is reported by the reading fiber. */
const sendStop = ({ channel }: ServiceSession, reason: Messages.StopReason): Effect.Effect<void> =>
  Effect.ignore(channel.write(frame(FrameType.Stop, Messages.encodeStop(reason))))

/** Opens the peer's folder, made if it does not exist, until the scope closes. */
const openFolder = (
  served: string,
  folder: string | undefined
): Effect.Effect<SafeDirectories, DiskFailed, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try({
      try: () => {
        if (folder === undefined) return new SafeDirectories(served)
        const outer = new SafeDirectories(served)
        try {
          const path = SafePath.local(folder) ?? SafePath.root
          ensureAll(outer, path)
          return outer.subtree(path)
        } finally {
          outer.close()
        }
      },
      catch: diskFailed(folder === undefined ? served : `${served}/${folder}`)
    }),
    (directories) => Effect.sync(() => directories.close())
  )

/** Makes a directory and those around it; their names are flushed. */
const ensureAll = (directories: SafeDirectories, path: SafePath): void => {
  if (path.depth === 0) return
  ensureAll(directories, path.parent)
  if (directories.ensure(path, 0o700)) fsyncSync(directories.get(path.parent).fd)
}

/**
 * Fails and tells the peer if its rules do not pass the check. A list that is put in force later and
 * does not pass it ends the session, so that nothing more is stored or sent.
 */
const requireRules = (
  session: ServiceSession,
  check: RuleCheck
): Effect.Effect<void, RefusedByRules> =>
  Effect.suspend(() => {
    const { peerSession, remote } = session
    const reason = peerSession === undefined ? check(unrestricted) : undefined
    const refusal =
      reason === undefined
        ? peerSession?.require(check)
        : new RefusedByRules({ peer: remote.peer, reason })
    return refusal === undefined
      ? Effect.void
      : Effect.zipRight(sendStop(session, "forbidden"), Effect.fail(refusal))
  })

/** The rules must allow this access. */
const allows =
  (kind: Access, verb: string): RuleCheck =>
  (rules) =>
    rules.get(access)?.includes(kind) === false
      ? `its line does not allow ${verb} (${rules.where})`
      : undefined

const allowsOverwriting: RuleCheck = (rules) =>
  rules.get(overwrite) === true
    ? undefined
    : rules.where === ""
      ? "clients of the shared key may not overwrite files"
      : `its line does not allow overwriting (${rules.where})`

/** The folder that is open must stay that of the client. */
const hasFolder =
  (opened: string | undefined): RuleCheck =>
  (rules) =>
    rules.get(folder) === opened ? undefined : `its folder has changed (${rules.where})`

/** The quota that was opened must not exceed that of the client; a larger one is for later. */
const coversQuota =
  (opened: number | undefined): RuleCheck =>
  (rules) =>
    (rules.get(fileQuota) ?? Infinity) >= (opened ?? Infinity)
      ? undefined
      : `its file-quota has become smaller (${rules.where})`

const receivePush = (
  { session, frames, header, directories }: Request,
  options: FileServiceOptions,
  quotas: Quotas
): Effect.Effect<void, FileError, Scope.Scope> =>
  Effect.gen(function* () {
    const { channel, remote, peerSession } = session
    const push = Messages.decodePush(yield* frames.readBody(header.length))
    if (push === undefined) return yield* frames.violation("malformed PUSH frame")
    yield* requireRules(session, allows("write", "writing"))
    if (push.policy === "overwrite") yield* requireRules(session, allowsOverwriting)
    const quotaBytes = peerSession?.rules().get(fileQuota)
    yield* requireRules(session, coversQuota(quotaBytes))
    const quota = quotaBytes === undefined ? undefined : yield* quotas.open(directories, quotaBytes)
    yield* receive({
      channel,
      frames,
      directories,
      tag: peerTag(remote.publicKey ?? "shared"),
      policy: push.policy,
      dry: push.dry,
      memory: session.memory,
      ...(quota === undefined ? {} : { quota }),
      progress: pushProgress(session, options),
      pace: paceOf(session),
      mayStore: () => peerSession?.isEnded() !== true
    })
  })

/** Delays a transfer that exceeds the client's bytes per minute. */
const paceOf =
  ({ peerSession }: ServiceSession) =>
  (bytes: number): Effect.Effect<void> =>
    peerSession === undefined ? Effect.void : throttle(peerSession, bytes)

/** Counts and reports what a push stores. */
const pushProgress = (
  { remote, counters }: ServiceSession,
  { onStored, onDiskFailed }: FileServiceOptions
): TransferProgress => {
  const count = sessionCounter(metrics, counters)
  let entries: ReadonlyArray<Entry> = []
  return {
    ...noProgress,
    planned: (manifest) => Effect.sync(() => void (entries = manifest)),
    transferred: (bytes) => count("bytes", bytes),
    confirmed: (receipts) => {
      const files = receipts.flatMap(({ index, outcome, path }) => {
        const entry = entries[index]
        return entry?.kind === "file" && (outcome === "stored" || outcome === "renamed")
          ? [{ path: (path ?? entry.path).text, bytes: entry.size }]
          : []
      })
      if (files.length === 0) return Effect.void
      count("files", files.length)
      return onStored({ sender: remote, files })
    },
    diskFailed: (failed) => onDiskFailed(remote, failed)
  }
}

const servePull = ({
  session,
  frames,
  header,
  directories
}: Request): Effect.Effect<void, FileError, Scope.Scope> =>
  Effect.gen(function* () {
    const { channel, counters } = session
    const pull = Messages.decodePull(yield* frames.readBody(header.length))
    if (pull === undefined) return yield* frames.violation("malformed PULL frame")
    yield* requireRules(session, allows("read", "reading"))
    const walker = new FileWalker(pull.links, directories, session.memory)
    const count = sessionCounter(metrics, counters)
    yield* send({
      channel,
      frames,
      sources: walker.sources,
      leftOut: walker.leftOut,
      walk: (sendFound) => walker.addRequested(directories, pull.paths, sendFound),
      dry: pull.dry,
      progress: {
        ...noProgress,
        transferred: (bytes) => count("bytesSent", bytes),
        confirmed: (receipts) =>
          Effect.sync(() => {
            const stored = receipts.filter(({ outcome }) => outcome === "stored")
            count("filesSent", stored.length)
          })
      },
      pace: paceOf(session)
    })
  })
