// Sends files to a server: walks, connects, resumes and retries. TRANSFER.md.
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Mailbox from "effect/Mailbox"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { shown } from "../../bytes/excerpt.ts"
import type { HandshakeFailed } from "../../channel/ChannelErrors.ts"
import { Timers } from "../../transports/Timers.ts"
import { Transport } from "../../transports/Transport.ts"
import type { ConnectFailed } from "../../transports/TransportErrors.ts"
import { dial, type DialKeys, type DialOptions } from "../Dial.ts"
import type { Failure, Retry } from "../Retry.ts"
import { opening } from "../Service.ts"
import { addSource } from "./addSource.ts"
import { FileWalker } from "./FileWalker.ts"
import type { LinkPolicy, Policy } from "./Messages.ts"
import { PushState, type PushProgress, type PushSummary } from "./PushState.ts"
import { retryTransfer, type TransferBroken } from "./retryTransfer.ts"
import { name as service } from "./rules.ts"
import { SafePath } from "./SafePath.ts"
import type { SourceEntry } from "./SourceFile.ts"
import {
  diskFailed,
  SourceRefused,
  type DiskFailed,
  type TransferBusy,
  type TransferIncomplete
} from "./TransferErrors.ts"
import { pushOver, type TransferError } from "./TransferSession.ts"

export {
  pullOver,
  pushOver,
  type CommonOptions,
  type PullOverOptions,
  type PushOverOptions,
  type TransferError
} from "./TransferSession.ts"
export type { PushProgress, PushSummary } from "./PushState.ts"

export const limits = {
  /** Milliseconds between two reports of progress while the bytes of files travel. */
  progressMillis: 100
} as const

/** The sources and the destination of a push. */
export interface PushOptions<E = never, R = never> {
  /** A file or folder, or several: each arrives under its last name. */
  readonly from: string | ReadonlyArray<string>
  /** The server, and the keys of this client. */
  readonly to: DialOptions<E, R>
  /** The policy for a file that the server has with different content. Default: "refuse". */
  readonly policy?: Policy
  /** The policy for symbolic links in a folder. Default: "skip". */
  readonly links?: LinkPolicy
  /**
   * Time without progress for which a lost connection is retried. Default: 30 seconds, once there was a
   * first connection.
   */
  readonly retry?: Retry
  /** Told the progress while the push goes on; the push waits for it. Default: nobody is. */
  readonly onProgress?: (progress: PushProgress) => Effect.Effect<void, never, R>
}

/** Every error of a push, beside those of loading the keys. */
export type PushError =
  | ConnectFailed
  | HandshakeFailed
  | TransferError
  | TransferBroken
  | TransferBusy
  | TransferIncomplete
  | SourceRefused
  | DiskFailed

const defaultRetry: Retry = { deadline: "30 seconds", includesFirstAttempt: false }

/**
 * Sends files and folders; completes when all are durable on the server. A lost connection is made
 * again, and continues where the last one has stopped; so does another push of the same files. Files
 * that have not arrived fail it with `TransferIncomplete`, after the others have.
 *
 * @example
 * const { stored } = yield* FileClient.push({
 *   from: ["./photos", "./report.pdf"],
 *   to: { address, keys: Credentials.sharedKey },
 *   onProgress: ({ bytesDone, bytes }) => Effect.log(`${bytesDone} of ${bytes}`)
 * })
 */
export const push = <E extends Failure = never, R = never>({
  from,
  to,
  policy = "refuse",
  links = "skip",
  retry = defaultRetry,
  onProgress
}: PushOptions<E, R>): Effect.Effect<PushSummary, PushError | E, R | Transport> =>
  Effect.gen(function* () {
    const sources = yield* collect(typeof from === "string" ? [from] : from, links)
    const entries = sources.map(({ entry }) => entry)
    const context = yield* Effect.context<R>()
    const timers = yield* Timers.current
    let reportedAt = Number.NEGATIVE_INFINITY
    const report: Effect.Effect<void> =
      onProgress === undefined
        ? Effect.void
        : Effect.suspend(() => {
            reportedAt = timers.monotonic
            return Effect.provide(onProgress(state.current), context)
          })
    const reportSometimes = Effect.suspend(() =>
      timers.monotonic - reportedAt >= limits.progressMillis ? report : Effect.void
    )
    const state = new PushState(entries, policy === "skip", reportSometimes)
    const session = Effect.gen(function* () {
      const channel = yield* dial(to, opening(service))
      yield* channel.ready
      state.startSession()
      yield* report
      yield* pushOver(channel, {
        sources,
        policy,
        dry: false,
        progress: state.observer,
        pace: () => reportSometimes
      })
      yield* state.failIfBusy
    }).pipe(Effect.scoped)
    yield* retryTransfer(session, retry, state, () => Effect.void)
    const summary = yield* state.conclude
    yield* report
    return summary
  }).pipe(Effect.scoped)

/**
 * The same with its progress as a Stream, which runs the push: it ends when all files are durable on
 * the server, and fails with the error of the push. A slow reader misses progress and delays nothing.
 *
 * @example
 * yield* FileClient.pushStream({ from: "./photos", to: { address, keys } }).pipe(
 *   Stream.runForEach(({ bytesDone, bytes }) => Effect.log(`${bytesDone} of ${bytes}`))
 * )
 */
export const pushStream = <E extends Failure = never, R = never>(
  options: Omit<PushOptions<E, R>, "onProgress">
): Stream.Stream<PushProgress, PushError | E, R | Transport> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const reports = yield* Mailbox.make<PushProgress, PushError | E>({
        capacity: 1,
        strategy: "sliding"
      })
      const onProgress = (progress: PushProgress) => Effect.asVoid(reports.offer(progress))
      yield* Effect.forkScoped(Mailbox.into(push({ ...options, onProgress }), reports))
      return Mailbox.toStream(reports)
    })
  )

/** The destination of a sink's bytes. */
export interface SinkOptions<E = never, R = never> extends Omit<PushOptions<E, R>, "from"> {
  /** The name of the file at the server. */
  readonly as: string
}

/**
 * Sends the bytes of a stream as one file, and completes when it is durable on the server. They are
 * collected in a temporary file of this user first, because its size is sent before it; nothing is
 * sent of a stream that fails.
 *
 * @example
 * const dump = Stream.make(Buffer.from("CREATE TABLE orders"))
 * yield* Stream.run(dump, FileClient.toSink({ as: "shop.sql", to: { address, keys } }))
 */
export const toSink = <E extends Failure = never, R = never>({
  as,
  ...options
}: SinkOptions<E, R>): Sink.Sink<PushSummary, Uint8Array, never, PushError | E, R | Transport> =>
  Sink.unwrapScoped<PushSummary, Uint8Array, never, PushError | E, R | Transport | Scope.Scope>(
    Effect.gen(function* () {
      if (typeof SafePath.root.child(as) === "string")
        return yield* new SourceRefused({ path: as, detail: "is no name for a file" })
      const failed = diskFailed(`a file in ${tmpdir()} (TMPDIR)`)
      const folder = yield* Effect.acquireRelease(
        Effect.try({ try: () => mkdtempSync(path.join(tmpdir(), "sealwire-")), catch: failed }),
        (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
      )
      const file = path.join(folder, as)
      const fd = yield* Effect.acquireRelease(
        Effect.try({ try: () => openSync(file, "wx", 0o600), catch: failed }),
        (opened) => Effect.sync(() => closeSync(opened))
      )
      const collecting = Sink.forEach((bytes: Uint8Array) =>
        Effect.try({ try: () => writeAll(fd, bytes), catch: failed })
      )
      return Sink.zipRight(collecting, Sink.fromEffect(push({ ...options, from: file })))
    })
  ) as Sink.Sink<PushSummary, Uint8Array, never, PushError | E, R | Transport>

/** Sends files to one server. */
export interface FileClient {
  /** `push` to this server. */
  readonly push: (options: Omit<PushOptions, "to">) => Effect.Effect<PushSummary, PushError>
  /** `pushStream` to this server. */
  readonly pushStream: (
    options: Omit<PushOptions, "to" | "onProgress">
  ) => Stream.Stream<PushProgress, PushError>
}

/** The client of one server, as a service: `FileClient.layer` provides it. */
export const FileClient: Context.Tag<FileClient, FileClient> = Context.GenericTag<FileClient>(
  "sealwire/services/transfer/FileClient"
)

/**
 * Provides a client of one server, with its keys loaded. Each push connects by itself.
 *
 * @example
 * const ClientLive = FileClient.layer({ address, keys: Credentials.pinned(serverKey) })
 */
export const layer = <E = never, R = never>({
  keys,
  ...to
}: Omit<DialOptions, "keys"> & {
  readonly keys: DialKeys | Effect.Effect<DialKeys, E, R>
}): Layer.Layer<FileClient, E, R | Transport> =>
  Layer.effect(
    FileClient,
    Effect.gen(function* () {
      const server = { ...to, keys: Effect.isEffect(keys) ? yield* keys : keys }
      const transport = yield* Transport
      return {
        push: (options) =>
          Effect.provideService(push({ ...options, to: server }), Transport, transport),
        pushStream: (options) =>
          Stream.provideService(pushStream({ ...options, to: server }), Transport, transport)
      }
    })
  )

const writeAll = (fd: number, bytes: Uint8Array): void => {
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at)
}

/** Two sources would have one name at the server. */
const sameName = (file: string, other: string): SourceRefused =>
  new SourceRefused({
    path: file,
    detail: `has the same name at the server as ${shown(other)}; push them one by one`
  })

const collect = (
  paths: ReadonlyArray<string>,
  links: LinkPolicy
): Effect.Effect<
  ReadonlyArray<SourceEntry>,
  SourceRefused | DiskFailed | Effect.Effect.Error<ReturnType<typeof addSource>>,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const walker = yield* Effect.acquireRelease(
      Effect.sync(() => new FileWalker(links)),
      (opened) => Effect.sync(() => opened.close())
    )
    const named = new Map<string, string>()
    for (const given of paths) {
      const file = path.resolve(given)
      const sent = SafePath.root.child(path.basename(file))
      if (typeof sent === "string")
        return yield* new SourceRefused({ path: given, detail: `cannot be sent: ${sent}` })
      const other = named.get(sent.text)
      if (other !== undefined) return yield* sameName(given, other)
      named.set(sent.text, given)
      yield* addSource(walker, { file, sent })
    }
    return walker.sorted() ?? []
  })
