// The receiving side of a transfer: reads the manifest, answers it, writes the files and sends
// receipts when they are durable. TRANSFER.md sections 4 and 5.
//
// readManifest -> AnswerWriter -> frames -> IncomingFile -> PartialFile -> CommitQueue -> receipts
import * as Effect from "effect/Effect"
import type { Channel } from "../../channel/Channel.ts"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import type { SessionMemory } from "../PeerBudgets.ts"
import { AnswerWriter } from "./AnswerWriter.ts"
import type { Charge, Quota } from "./Quotas.ts"
import { digestBytes, smallFileDigest } from "./Digest.ts"
import { attempt, PieceBuffers } from "./Disk.ts"
import { DurableReceipts } from "./DurableReceipts.ts"
import { frame, FrameType, type FrameHeader, type Frames } from "./Frame.ts"
import { IncomingFile } from "./IncomingFile.ts"
import type { Entry, RequestedEntries } from "./Manifest.ts"
import { failStopped, readManifest } from "./ManifestReader.ts"
import { limits } from "./limits.ts"
import * as Messages from "./Messages.ts"
import * as PartialFile from "./PartialFile.ts"
import type { Holder } from "./PartialFileLock.ts"
import type { SafeDirectories, SafeDirectory } from "./SafeDirectory.ts"
import { receiverFailed, type DiskFailed, type TransferStopped } from "./TransferErrors.ts"
import type { TransferProgress } from "./TransferProgress.ts"

export interface ReceiverOptions {
  readonly channel: Channel
  readonly frames: Frames
  /** The directories that receive everything. */
  readonly directories: SafeDirectories
  /** Tag in the names of this peer's partial files. */
  readonly tag: string
  readonly policy: Messages.Policy
  /** Answers only; nothing is changed. */
  readonly dry: boolean
  readonly quota?: Quota
  /** Memory of the session; default: no limit. */
  readonly memory?: Pick<SessionMemory, "reserve" | "release">
  /** The entries that a pull may receive. */
  readonly requested?: RequestedEntries
  readonly progress: TransferProgress
  /** Called with the number of bytes received; delays to limit the rate. */
  readonly pace: (bytes: number) => Effect.Effect<void>
  /** False once the rules no longer allow to store what has arrived. Default: always true. */
  readonly mayStore?: () => boolean
}

type ReceiverError = ChannelError | DiskFailed | TransferStopped

/** Receives a transfer; completes when everything is durable and DONE is sent. */
export const receive = (options: ReceiverOptions): Effect.Effect<void, ReceiverError> =>
  Effect.gen(function* () {
    const { entries, collisions } = yield* readManifest({
      ...options,
      reserve: options.memory?.reserve
    })
    yield* options.progress.planned(entries)
    yield* Effect.acquireUseRelease(
      Effect.sync(() => new Receiver(options, entries, collisions)),
      // A failure in the background ends the reading.
      (receiver) =>
        Effect.raceFirst(receiver.content, Effect.zipRight(receiver.background, Effect.never)),
      (receiver) => receiver.end
    )
  })

class Receiver {
  readonly #options: ReceiverOptions
  readonly #answers: AnswerWriter
  readonly #receipts: DurableReceipts
  readonly #buffers = new PieceBuffers()
  /** Grows with each frame, and with each byte of content. */
  #progress = 0
  /** The large file whose content is being written. */
  #incoming: IncomingFile | undefined
  /** The file being received, until the commit queue or nobody is responsible for it. */
  #current: PartialFile.PartialFile | undefined
  /** Its reservation, also while there is no partial file. */
  #charge: Charge | undefined

  constructor(
    options: ReceiverOptions,
    entries: ReadonlyArray<Entry>,
    collisions: ReadonlySet<number>
  ) {
    this.#options = options
    const flushFolders = Effect.suspend(() => this.#answers.check.created.flushNames)
    this.#receipts = new DurableReceipts(options.channel, options.progress, flushFolders)
    const { reportFailure } = this.#receipts
    const holder = this.#holder
    this.#answers = new AnswerWriter({ ...options, entries, collisions, reportFailure, holder })
  }

  /** This session, as a newer one of the peer sees it. */
  get #holder(): Holder {
    const { channel } = this.#options
    let isProbed = false
    return {
      progress: () => this.#progress,
      probe: () => {
        // Each change of the pace begins a new interval.
        if (!isProbed) channel.keepAlive(true)
        isProbed = true
      },
      end: channel.reset
    }
  }

  /**
   * Commits the files that are complete, whatever has ended the session, and keeps or discards the
   * others. TRANSFER.md section 7.
   */
  get end(): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      if (this.#incoming !== undefined) yield* this.#incoming.written
      this.#current?.keepOrDiscard()
      this.#finishCurrent()
      this.#answers.abandon()
      if (this.#options.mayStore?.() !== false) yield* this.#receipts.finish
      this.#receipts.abandon()
    })
  }

  /** Sends answers and commits files while others are received. */
  get background(): Effect.Effect<unknown, ReceiverError> {
    // The reading fiber reports a lost connection.
    const answers = Effect.catchAll(this.#answers.run, () => Effect.never)
    return Effect.all([answers, this.#receipts.run], { concurrency: 2, discard: true })
  }

  /** Receives the files, up to TRANSFEREND. */
  get content(): Effect.Effect<void, ReceiverError> {
    return Effect.gen(this, function* () {
      const { channel, frames } = this.#options
      for (;;) {
        const header = yield* frames.readHeader
        if (header === undefined) return yield* frames.violation("FIN before TRANSFEREND")
        const { type, length } = header
        this.#progress++
        switch (type) {
          case FrameType.SmallFile:
            yield* this.#receiveSmallFile(yield* frames.readBody(length))
            continue
          case FrameType.File:
            yield* this.#receiveFile(yield* frames.readBody(length))
            continue
          case FrameType.Skip:
            yield* this.#receiveSkip(yield* frames.readBody(length))
            continue
          case FrameType.Stop:
            return yield* failStopped(channel, frames, yield* frames.readBody(length))
          case FrameType.TransferEnd:
            if (length > 0 || !this.#answers.isDone)
              return yield* frames.violation("TRANSFEREND before the last file")
            return yield* this.#finish
          default:
            return yield* frames.violation("unexpected frame")
        }
      }
    })
  }

  #sendReceipt(index: number, outcome: Messages.Outcome): Effect.Effect<void> {
    return this.#receipts.send([{ index, outcome }])
  }

  /** Receives a file in one frame: index (4) | digest (32) | bytes. */
  #receiveSmallFile(body: Buffer): Effect.Effect<void, ReceiverError> {
    return Effect.gen(this, function* () {
      const { frames, progress, pace } = this.#options
      const start = 4 + digestBytes
      if (body.length < start) return yield* frames.violation("malformed SMALLFILE frame")
      const index = body.readUInt32BE(0)
      const resolved = this.#answers.resolve(index)
      if (resolved === undefined) return yield* frames.violation("unexpected file")
      const { entry } = resolved
      this.#current = resolved.partial
      this.#charge = resolved.charge
      const bytes = body.subarray(start)
      const digest = Buffer.from(body.subarray(4, start))
      if (bytes.length !== entry.size) return yield* frames.violation("a file has the wrong size")
      yield* pace(bytes.length)
      progress.transferred(bytes.length)
      if (Buffer.compare(smallFileDigest(bytes), digest) !== 0) {
        this.#discardCurrent()
        return yield* this.#sendReceipt(index, "damaged")
      }
      const write = attempt(() => this.#writeSmall(index, entry, resolved.partial, bytes))
      yield* Effect.matchEffect(write, {
        onSuccess: (partial) => this.#commit(index, entry, partial, digest),
        onFailure: (cause) => {
          this.#discardCurrent()
          return this.#fail(index, entry, cause)
        }
      })
    })
  }

  #writeSmall(
    index: number,
    entry: Entry,
    resumed: PartialFile.PartialFile | undefined,
    bytes: Buffer
  ): PartialFile.PartialFile {
    const partial = resumed ?? this.#create(index)
    this.#current = partial
    PartialFile.writeSmall(partial, bytes)
    partial.applyAttributes(entry, resumed === undefined ? bytes.length : undefined)
    partial.close()
    return partial
  }

  /** Creates a partial file for an entry; throws system errors. */
  #create(index: number): PartialFile.PartialFile {
    const { directory, name } = this.#answers.check.destinationOf(index)
    const partial = PartialFile.create(directory, name, this.#options.tag)
    if (this.#charge !== undefined) partial.charge = this.#charge
    return partial
  }

  #discardCurrent(): void {
    this.#current?.discard()
    this.#finishCurrent()
  }

  /** Ends the work on a file whose partial file is kept or discarded, or was never made. */
  #finishCurrent(): void {
    this.#incoming = undefined
    this.#charge?.cancel()
    this.#charge = undefined
    this.#current = undefined
  }

  #fail(index: number, entry: Entry, cause: unknown): Effect.Effect<void> {
    return Effect.zipRight(
      this.#receipts.reportFailure(cause, entry.path.text),
      this.#sendReceipt(index, "failed")
    )
  }

  #commit(
    index: number,
    entry: Entry,
    partial: PartialFile.PartialFile,
    digest: Buffer
  ): Effect.Effect<void> {
    const policy = this.#answers.check.policyFor(index)
    // Interruption between the two would leave the file to both.
    return Effect.uninterruptibleMask((restore) =>
      Effect.map(restore(this.#receipts.ready), () => {
        this.#receipts.commit({ index, entry, partial, policy, digest })
        this.#charge = undefined
        this.#current = undefined
        this.#incoming = undefined
      })
    )
  }

  /** Receives a file in pieces: index (4) | number of kept blocks (4), then BYTES and ZEROS. */
  #receiveFile(body: Buffer): Effect.Effect<void, ReceiverError> {
    return Effect.gen(this, function* () {
      const { frames } = this.#options
      if (body.length !== 8) return yield* frames.violation("malformed FILE frame")
      const [index, keptBlocks] = [body.readUInt32BE(0), body.readUInt32BE(4)]
      const resolved = this.#answers.resolve(index)
      if (resolved === undefined) return yield* frames.violation("unexpected file")
      const { entry, answer, digests } = resolved
      this.#current = resolved.partial
      this.#charge = resolved.charge
      // Digests of a file that was only compared are not those of the partial file.
      const offered = answer === "have" ? digests : []
      if (keptBlocks > offered.length)
        return yield* frames.violation("more kept blocks than were offered")
      const file = new IncomingFile({
        ...this.#options,
        pace: (bytes) => {
          this.#progress += bytes
          return this.#options.pace(bytes)
        },
        buffers: this.#buffers,
        entry,
        kept: offered.slice(0, keptBlocks),
        open: () => resolved.partial ?? this.#create(index)
      })
      this.#incoming = file
      this.#current = file.partial ?? resolved.partial
      for (;;) {
        const header = yield* frames.readHeader
        if (header === undefined) return yield* frames.violation("FIN inside a file")
        if (header.type !== FrameType.Bytes && header.type !== FrameType.Zeros)
          return yield* this.#endFile(index, entry, file, header)
        yield* file.receivePiece(header.type === FrameType.Zeros, header.length)
      }
    })
  }

  /** Handles the frame after the last piece: END, or SKIP if the file could not be sent. */
  #endFile(
    index: number,
    entry: Entry,
    file: IncomingFile,
    { type, length }: FrameHeader
  ): Effect.Effect<void, ReceiverError> {
    return Effect.gen(this, function* () {
      const { channel, frames, progress } = this.#options
      yield* file.written
      const { partial } = file
      const body = yield* frames.readBody(length)
      if (type === FrameType.Stop) return yield* failStopped(channel, frames, body)
      if (type === FrameType.Skip) {
        const skip = Messages.decodeSkip(body)
        if (skip === undefined || skip.index !== index)
          return yield* frames.violation("SKIP of another file inside a file")
        // Content of a file that has changed meanwhile is of no use.
        if (skip.reason === "changed") partial?.discard()
        else partial?.keepOrDiscard()
        this.#finishCurrent()
        yield* progress.skipped(index, skip.reason)
        return yield* this.#sendReceipt(index, "left")
      }
      if (type !== FrameType.End || body.length !== digestBytes)
        return yield* frames.violation("a file without END")
      if (!file.isComplete) return yield* frames.violation("a file has the wrong size")
      const digest = Buffer.from(body)
      if (!file.finish(digest)) {
        this.#discardCurrent()
        return yield* this.#sendReceipt(index, "damaged")
      }
      if (partial === undefined || file.failure !== undefined) {
        partial?.keepOrDiscard()
        this.#finishCurrent()
        return yield* this.#fail(index, entry, file.failure)
      }
      yield* this.#commit(index, entry, partial, digest)
    })
  }

  #receiveSkip(body: Buffer): Effect.Effect<void, ReceiverError> {
    return Effect.gen(this, function* () {
      const { frames, dry, progress } = this.#options
      const skip = Messages.decodeSkip(body)
      if (skip === undefined) return yield* frames.violation("malformed SKIP frame")
      const { index, reason } = skip
      const resolved = this.#answers.resolve(index)
      if (resolved === undefined) return yield* frames.violation("unexpected SKIP")
      const { entry, answer, partial, charge, as } = resolved
      const wasCompared = answer === "compare" || answer === "differs"
      if ((reason === "same" && !wasCompared) || (reason === "dry" && !dry))
        return yield* frames.violation("SKIP of a file without a valid reason")
      // A partial file is of no use if the whole file exists, or the source has changed.
      if (reason === "same" || reason === "changed") partial?.discard()
      else partial?.keepOrDiscard()
      charge?.cancel()
      yield* progress.skipped(index, reason)
      if (reason === "same") progress.reused(entry.size)
      if (reason === "same") return yield* this.#confirmSame(index, entry, as)
      if (dry) return
      yield* this.#sendReceipt(index, reason === "other" ? "exists" : "left")
    })
  }

  /** Sends the receipt of a file that was there, under another name with `as`. */
  #confirmSame(index: number, entry: Entry, as: string | undefined): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      const receipt: Messages.Receipt =
        as === undefined
          ? { index, outcome: "same" }
          : { index, outcome: "same as", path: entry.path.sibling(as) }
      if (this.#options.dry)
        return yield* as === undefined ? Effect.void : this.#receipts.send([receipt])
      const found = yield* Effect.option(
        attempt(() => {
          const { directory, name } = this.#answers.check.destinationOf(index)
          const stats = PartialFile.lstatIfExists(directory, as ?? name)
          return { directory, name: as ?? name, changed: stats?.ctimeMs ?? 0 }
        })
      )
      // The system has written an older one to the disk by itself.
      const isFlushed = ({ changed, directory }: { changed: number; directory: SafeDirectory }) =>
        Date.now() - changed > limits.unflushedMillis && directory.isInPlace
      if (found._tag === "None" || isFlushed(found.value))
        return yield* this.#receipts.send([receipt])
      yield* this.#receipts.ready
      this.#receipts.commitExisting({ ...found.value, receipt, path: entry.path.text })
    })
  }

  /** Completes the folders when every file has its receipt, and sends DONE. */
  get #finish(): Effect.Effect<void, ReceiverError> {
    return Effect.gen(this, function* () {
      const { channel, dry, directories } = this.#options
      const { created } = this.#answers.check
      yield* this.#receipts.drained
      if (!dry) {
        yield* Effect.zipRight(created.applyAttributes, created.flush).pipe(
          Effect.mapError(receiverFailed(directories.root.path))
        )
        yield* this.#receipts.send(created.receipts)
      }
      yield* channel.write(frame(FrameType.Done))
    })
  }
}
