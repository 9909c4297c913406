// The side that gets files: hears what will come, says what it wants of it, writes it down, and says when it is safe. TRANSFER.md section 5.
//
//   Heard (manifest) -> Plan (answers) -> frames -> Incoming -> Part -> Safe (flush, name, flush; receipts)
import * as Effect from "effect/Effect"
import type { Channel } from "../../channel/Channel.ts"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import { digestBytes, smallFileDigest } from "./Digest.ts"
import { attempt, PieceBuffers } from "./Disk.ts"
import type { SafeDirectories } from "./SafeDirectory.ts"
import { frame, FrameType, type Frames, type FrameHeader } from "./Frame.ts"
import * as ManifestReader from "./ManifestReader.ts"
import { IncomingFile } from "./IncomingFile.ts"
import type { Quota } from "./DestinationCheck.ts"
import type { RequestedEntries, Entry } from "./Manifest.ts"
import * as PartialFile from "./PartialFile.ts"
import { AnswerWriter } from "./AnswerWriter.ts"
import type { TransferProgress } from "./TransferProgress.ts"
import { DurableReceipts } from "./DurableReceipts.ts"
import { diskFailed, type DiskFailed, type TransferStopped } from "./TransferErrors.ts"
import * as Messages from "./Messages.ts"

export interface ReceiverOptions {
  readonly channel: Channel
  readonly frames: Frames
  /** Where everything goes. */
  readonly folders: SafeDirectories
  /** What this peer's unfinished files are called by. */
  readonly tag: string
  readonly policy: Messages.Policy
  /** Nothing is changed: it is only said what would be. */
  readonly dry: boolean
  readonly quota?: Quota
  /** Of a pull: nothing else may come. */
  readonly requested?: RequestedEntries
  readonly progress: TransferProgress
  /** Bytes have come. */
  readonly pace: (bytes: number) => Effect.Effect<void>
}

type ReceiverError = ChannelError | DiskFailed | TransferStopped

/** Until the sender has said its last, and all of it is safe. */
export const receive = (options: ReceiverOptions): Effect.Effect<void, ReceiverError> =>
  Effect.gen(function* () {
    const { entries, collisions } = yield* ManifestReader.readManifest(options)
    yield* options.progress.planned(entries)
    yield* Effect.acquireUseRelease(
      Effect.sync(
        () => new Receiver(options, new AnswerWriter({ ...options, entries, folded: collisions }))
      ),
      // What fails beside the reading ends it.
      (receiver) =>
        Effect.raceFirst(receiver.content, Effect.zipRight(receiver.beside, Effect.never)),
      (receiver) => Effect.sync(() => receiver.abandon())
    )
  })

class Receiver {
  readonly #options: ReceiverOptions
  readonly #plan: AnswerWriter
  readonly #safe: DurableReceipts
  readonly #pieces = new PieceBuffers()
  /** The file that comes now. */
  #coming: PartialFile.PartialFile | undefined

  constructor(options: ReceiverOptions, plan: AnswerWriter) {
    this.#options = options
    this.#plan = plan
    this.#safe = new DurableReceipts(options.channel, options.progress)
  }

  abandon(): void {
    this.#coming?.keepOrDiscard()
    this.#plan.abandon()
    this.#safe.queue.abandon()
  }

  /** What goes on while files come: answers go out, and what is written is made safe. */
  get beside(): Effect.Effect<unknown, ReceiverError> {
    // A loss is told by the reading.
    const answers = Effect.catchAll(this.#plan.run, () => Effect.never)
    return Effect.all([answers, this.#safe.run], { concurrency: 2, discard: true })
  }

  /** The files, and the end. */
  get content(): Effect.Effect<void, ReceiverError> {
    return Effect.gen(this, function* () {
      const { channel, frames } = this.#options
      for (;;) {
        const head = yield* frames.readHeader
        if (head === undefined) return yield* frames.violation("a FIN before the last word")
        switch (head.type) {
          case FrameType.SmallFile:
            yield* this.#whole(yield* frames.readBody(head.length))
            continue
          case FrameType.File:
            yield* this.#file(yield* frames.readBody(head.length))
            continue
          case FrameType.Skip:
            yield* this.#pass(yield* frames.readBody(head.length))
            continue
          case FrameType.Stop:
            return yield* ManifestReader.failStopped(
              channel,
              frames,
              yield* frames.readBody(head.length)
            )
          case FrameType.TransferEnd:
            if (head.length > 0 || !this.#plan.isDone)
              return yield* frames.violation("a last word before the last file")
            return yield* this.#finish
          default:
            return yield* frames.violation("a frame where none of its type belongs")
        }
      }
    })
  }

  /** A small file in one frame: index (4) | digest (32) | bytes. */
  #whole(body: Buffer): Effect.Effect<void, ReceiverError> {
    return Effect.gen(this, function* () {
      const { frames, progress, pace } = this.#options
      if (body.length < 4 + digestBytes)
        return yield* frames.violation("a small file that is cut off")
      const index = body.readUInt32BE(0)
      const plan = this.#plan
      const settled = plan.resolve(index)
      if (settled === undefined) return yield* frames.violation("a file that was not asked for")
      const { entry, partial: wanted } = settled
      this.#coming = wanted
      const bytes = body.subarray(4 + digestBytes)
      if (bytes.length !== entry.size)
        return yield* frames.violation("a file of another size than it was to have")
      yield* pace(bytes.length)
      progress.transferred(bytes.length)
      if (Buffer.compare(smallFileDigest(bytes), body.subarray(4, 4 + digestBytes)) !== 0) {
        this.#coming = undefined
        wanted?.discard()
        return yield* this.#safe.send([{ index, outcome: "damaged" }])
      }
      const written = yield* Effect.either(
        attempt(() => {
          const { folder, name } = plan.check.destinationOf(index)
          const part = wanted ?? PartialFile.create(folder, name, this.#options.tag)
          this.#coming = part ?? settled.partial
          PartialFile.writeSmall(part, bytes)
          part.applyAttributes(entry, wanted === undefined ? bytes.length : undefined)
          part.close()
          return part
        })
      )
      if (written._tag === "Left") {
        this.#coming?.discard()
        this.#coming = undefined
        yield* this.#safe.reportFailure(written.left, entry.path)
        return yield* this.#safe.send([{ index, outcome: "failed" }])
      }
      yield* this.#safe.queue.add({
        index,
        entry,
        partial: written.right,
        policy: plan.check.policyFor(index)
      })
      this.#coming = undefined
    })
  }

  /** A file in pieces: index (4) | blocks that are kept (4). */
  #file(body: Buffer): Effect.Effect<void, ReceiverError> {
    return Effect.gen(this, function* () {
      const { frames, tag } = this.#options
      if (body.length !== 8) return yield* frames.violation("a file that is cut off")
      const [index, kept] = [body.readUInt32BE(0), body.readUInt32BE(4)]
      const settled = this.#plan.resolve(index)
      if (settled === undefined) return yield* frames.violation("a file that was not asked for")
      const { entry, answer, digests } = settled
      this.#coming = settled.partial
      // What is only compared is nothing that could be gone on with.
      const proven = answer === "have" ? digests : []
      if (kept > proven.length) return yield* frames.violation("blocks are kept that are not there")
      const open = () => {
        const { folder, name } = this.#plan.check.destinationOf(index)
        return settled.partial ?? PartialFile.create(folder, name, tag)
      }
      const file = new IncomingFile({
        ...this.#options,
        pieces: this.#pieces,
        entry,
        kept: proven.slice(0, kept),
        open
      })
      this.#coming = file.partial ?? settled.partial
      for (;;) {
        const head = yield* frames.readHeader
        if (head === undefined) return yield* frames.violation("a FIN inside a file")
        if (head.type !== FrameType.Bytes && head.type !== FrameType.Zeros)
          return yield* this.#end(index, entry, file, head)
        yield* file.receivePiece(head.type === FrameType.Zeros, head.length)
      }
    })
  }

  /** What comes behind the last piece: its end, or that it does not come after all. */
  #end(
    index: number,
    entry: Entry,
    file: IncomingFile,
    { type, length }: FrameHeader
  ): Effect.Effect<void, ReceiverError> {
    return Effect.gen(this, function* () {
      const { channel, frames, progress } = this.#options
      yield* file.written
      const { partial } = file
      const last = yield* frames.readBody(length)
      if (type === FrameType.Stop) return yield* ManifestReader.failStopped(channel, frames, last)
      if (type === FrameType.Skip) {
        const pass = Messages.decodeSkip(last)
        if (pass === undefined || pass.index !== index)
          return yield* frames.violation("a word about another file inside of one")
        // What has come of a file that is another by now is of no use.
        if (pass.why === "changed") partial?.discard()
        else partial?.keepOrDiscard()
        this.#coming = undefined
        yield* progress.skipped(index, pass.why)
        return yield* this.#safe.send([{ index, outcome: "left" }])
      }
      if (type !== FrameType.End || last.length !== digestBytes)
        return yield* frames.violation("a file without an end")
      if (!file.isComplete)
        return yield* frames.violation("a file of another size than it was to have")
      if (!file.finish(last)) {
        this.#coming = undefined
        partial?.discard()
        return yield* this.#safe.send([{ index, outcome: "damaged" }])
      }
      if (partial === undefined || file.failure !== undefined) {
        this.#coming = undefined
        partial?.keepOrDiscard()
        yield* this.#safe.reportFailure(file.failure, entry.path)
        return yield* this.#safe.send([{ index, outcome: "failed" }])
      }
      yield* this.#safe.queue.add({
        index,
        entry,
        partial,
        policy: this.#plan.check.policyFor(index)
      })
      this.#coming = undefined
    })
  }

  #pass(body: Buffer): Effect.Effect<void, ReceiverError> {
    return Effect.gen(this, function* () {
      const { frames, dry, progress } = this.#options
      const pass = Messages.decodeSkip(body)
      if (pass === undefined) return yield* frames.violation("a word about a file that is none")
      const settled = this.#plan.resolve(pass.index)
      if (settled === undefined)
        return yield* frames.violation("a word about a file that was not asked for")
      const { entry, answer, partial, as } = settled
      const compared = answer === "compare" || answer === "differs"
      if ((pass.why === "same" && !compared) || (pass.why === "dry" && !dry))
        return yield* frames.violation("a file that was asked for is not sent")
      // What was begun of it is of no use where it is there, or is another by now.
      if (pass.why === "same" || pass.why === "changed") partial?.discard()
      else partial?.keepOrDiscard()
      yield* progress.skipped(pass.index, pass.why)
      if (pass.why === "same") progress.reused(entry.size)
      if (pass.why === "same" && as !== undefined) {
        const path = [...entry.path.split("/").slice(0, -1), as].join("/")
        return yield* this.#safe.send([{ index: pass.index, outcome: "same as", path }])
      }
      if (dry) return
      const outcome = pass.why === "same" ? "same" : pass.why === "other" ? "exists" : "left"
      yield* this.#safe.send([{ index: pass.index, outcome }])
    })
  }

  /** All is written: folders get what they have besides their content. */
  get #finish(): Effect.Effect<void, ReceiverError> {
    return Effect.gen(this, function* () {
      const { channel, dry, folders } = this.#options
      const { created } = this.#plan.check
      yield* this.#safe.queue.drained
      if (!dry) {
        const failed = diskFailed(folders.root.path)
        yield* Effect.mapError(
          attempt(() => created.applyAttributes()),
          failed
        )
        yield* Effect.mapError(created.flush, failed)
        yield* this.#safe.send(created.receipts)
      }
      yield* channel.write(frame(FrameType.Done))
    })
  }
}
