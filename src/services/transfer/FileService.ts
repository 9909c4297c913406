// The server's side of files: a folder for each peer, and what its rules let it do there. transfer/TRANSFER.md.
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import type { FileRules } from "../../peers/Rules.ts"
import * as Metrics from "../Metrics.ts"
import { RefusedByRules } from "../PeerSessions.ts"
import type { RemotePeer, Service, ServiceSession } from "../Service.ts"
import { SafeDirectories } from "./SafeDirectory.ts"
import { Frames, frame, FrameType, type FrameHeader } from "./Frame.ts"
import type { Entry } from "./Manifest.ts"
import { peerTag } from "./PartialFile.ts"
import type { TransferProgress } from "./TransferProgress.ts"
import { Quotas } from "./Quotas.ts"
import { receive } from "./Receiver.ts"
import { send } from "./Sender.ts"
import { FileWalker } from "./FileWalker.ts"
import { diskFailed, TransferStopped, type DiskFailed } from "./TransferErrors.ts"
import * as Messages from "./Messages.ts"

/** What a server tells of files. */
export interface StoredFiles {
  readonly sender: RemotePeer
  readonly files: ReadonlyArray<{ readonly path: string; readonly bytes: number }>
}

/** Which folder is served, and how. */
export interface FileServiceOptions {
  /** The folder that is served; each peer's own one, where its rules name one, is in it. */
  readonly folder: string
  /** Files that are on the disk, several together. */
  readonly onStored: (stored: StoredFiles) => Effect.Effect<void>
  /** This side's disk refused: for the log. */
  readonly onDiskFailed: (sender: RemotePeer, failed: DiskFailed) => Effect.Effect<void>
}

type FilesError = ChannelError | TransferStopped | DiskFailed | RefusedByRules

/** A service of Server that takes files into a folder, and gives them out of it. */
export const service = (options: FileServiceOptions): Service => {
  const quotas = new Quotas()
  return { name: "file", run: (session) => serve(session, options, quotas) }
}

const serve = (
  session: ServiceSession,
  options: FileServiceOptions,
  quotas: Quotas
): Effect.Effect<void, FilesError, Scope.Scope> =>
  Effect.gen(function* () {
    const { channel, connection, peerSession } = session
    const rules = peerSession?.rules() ?? {}
    const frames = new Frames(channel)
    const head = yield* frames.readHeader
    if (head === undefined) return
    const work = Effect.gen(function* () {
      const folders = yield* opened(options.folder, rules)
      if (head.type === FrameType.Push) yield* take(session, frames, head, folders, options, quotas)
      else if (head.type === FrameType.Pull) yield* give(session, frames, head, folders)
      else return yield* frames.violation("no request")
      yield* channel.end
      // Whoever has asked says that it has heard all.
      const more = yield* frames.readHeader
      if (more !== undefined) return yield* frames.violation("more after the last word")
    })
    const told = Effect.tapError(work, (error) =>
      error._tag === "TransferStopped" && error.side === "here"
        ? Effect.ignore(channel.write(frame(FrameType.Stop, Messages.encodeStop(error.reason))))
        : Effect.void
    )
    // A server that stops leaves what is under way where the next session goes on with it.
    const leaving = Effect.zipRight(connection.draining, channel.setCloseReason("GoingAway"))
    yield* Effect.raceFirst(told, leaving)
  })

const stop = (reason: Messages.StopReason): TransferStopped =>
  new TransferStopped({ peer: "this server", reason, side: "here" })

/** The peer's folder, made where it is missing; it goes with the scope. */
const opened = (
  top: string,
  { folder }: FileRules
): Effect.Effect<SafeDirectories, DiskFailed, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try({
      try: () => {
        if (folder === undefined) return new SafeDirectories(top)
        const outer = new SafeDirectories(top)
        try {
          const names = folder.split("/")
          for (let depth = 1; depth <= names.length; depth++)
            outer.ensure(names.slice(0, depth), 0o700)
          return outer.subtree(names)
        } finally {
          outer.close()
        }
      },
      catch: diskFailed(folder === undefined ? top : `${top}/${folder}`)
    }),
    (folders) => Effect.sync(() => folders.close())
  )

const take = (
  { channel, remote, counters, peerSession }: ServiceSession,
  frames: Frames,
  { length }: FrameHeader,
  folders: SafeDirectories,
  { onStored, onDiskFailed }: FileServiceOptions,
  quotas: Quotas
): Effect.Effect<void, FilesError, Scope.Scope> =>
  Effect.gen(function* () {
    const push = Messages.decodePush(yield* frames.readBody(length))
    if (push === undefined) return yield* frames.violation("a push that is none")
    const { access, fileQuota, overwrite, where = "" } = peerSession?.rules() ?? {}
    if (access?.includes("write") === false) {
      yield* Effect.ignore(channel.write(frame(FrameType.Stop, Messages.encodeStop("access"))))
      return yield* new RefusedByRules({
        peer: remote.peer,
        reason: `its line does not let it write (${where})`
      })
    }
    if (push.policy === "overwrite" && overwrite !== true) {
      yield* Effect.ignore(channel.write(frame(FrameType.Stop, Messages.encodeStop("access"))))
      return yield* new RefusedByRules({
        peer: remote.peer,
        reason:
          where === ""
            ? "who has the shared key alone does not overwrite"
            : `its line does not let it overwrite (${where})`
      })
    }
    const quota = fileQuota === undefined ? undefined : yield* quotas.enter(folders, fileQuota)
    let entries: ReadonlyArray<Entry> = []
    const progress: TransferProgress = {
      ...silent,
      planned: (known) => Effect.sync(() => void (entries = known)),
      transferred: (bytes) => {
        counters.bytes = (counters.bytes ?? 0) + bytes
        Metrics.add("fileBytesReceived", bytes)
      },
      confirmed: (receipts) => {
        const files = receipts.flatMap(({ index, outcome, path }) => {
          const entry = entries[index]
          return entry?.kind === "file" && (outcome === "stored" || outcome === "renamed")
            ? [{ path: path ?? entry.path, bytes: entry.size }]
            : []
        })
        if (files.length === 0) return Effect.void
        counters.files = (counters.files ?? 0) + files.length
        Metrics.add("filesStored", files.length)
        return onStored({ sender: remote, files })
      },
      diskFailed: (failed) => onDiskFailed(remote, failed)
    }
    yield* receive({
      channel,
      frames,
      folders,
      tag: peerTag(remote.publicKey ?? "shared"),
      policy: push.policy,
      dry: push.dry,
      ...(quota === undefined ? {} : { quota }),
      progress,
      pace: () => Effect.void
    })
  })

const give = (
  { channel, remote, counters, peerSession }: ServiceSession,
  frames: Frames,
  { length }: FrameHeader,
  folders: SafeDirectories
): Effect.Effect<void, FilesError, Scope.Scope> =>
  Effect.gen(function* () {
    const pull = Messages.decodePull(yield* frames.readBody(length))
    if (pull === undefined) return yield* frames.violation("a pull that is none")
    const { access, where = "" } = peerSession?.rules() ?? {}
    if (access?.includes("read") === false) {
      yield* Effect.ignore(channel.write(frame(FrameType.Stop, Messages.encodeStop("access"))))
      return yield* new RefusedByRules({
        peer: remote.peer,
        reason: `its line does not let it read (${where})`
      })
    }
    const survey = new FileWalker(pull.links, folders)
    for (const name of pull.names)
      yield* survey.add(
        folders,
        name === "" ? [] : name.split("/"),
        name === "" ? [] : name.split("/").slice(-1)
      )
    const items = survey.sorted()
    if (items === undefined) return yield* stop("none")
    yield* send({
      channel,
      frames,
      sources: items,
      leftOut: survey.leftOut,
      dry: pull.dry,
      progress: {
        ...silent,
        transferred: (bytes) => {
          counters.bytesSent = (counters.bytesSent ?? 0) + bytes
          Metrics.add("fileBytesSent", bytes)
        },
        confirmed: (receipts) =>
          Effect.sync(() => {
            const stored = receipts.filter(({ outcome }) => outcome === "stored").length
            counters.filesSent = (counters.filesSent ?? 0) + stored
            Metrics.add("filesSent", stored)
          })
      },
      pace: () => Effect.void
    })
  })

const silent: TransferProgress = {
  planned: () => Effect.void,
  leftOut: () => Effect.void,
  answered: () => Effect.void,
  transferred: () => {},
  reused: () => {},
  skipped: () => Effect.void,
  confirmed: () => Effect.void,
  diskFailed: () => Effect.void
}
