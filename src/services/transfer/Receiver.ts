// The side that gets files: hears what will come, says what it wants of it, writes it down, and says when it is safe. TRANSFER.md section 5.
//
//   Heard (manifest) -> Plan (answers) -> frames -> Incoming -> Part -> Safe (flush, name, flush; receipts)
import * as Effect from "effect/Effect"
import type { Channel } from "../../channel/Channel.ts"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import { digestBytes, ofSmall } from "./Digest.ts"
import { attempt, Pieces } from "./Disk.ts"
import type { SafeDirectories } from "./SafeDirectory.ts"
import { frame, FrameType, type Frames, type Head } from "./Frame.ts"
import * as ManifestReader from "./ManifestReader.ts"
import { IncomingFile } from "./IncomingFile.ts"
import type { Quota } from "./DestinationCheck.ts"
import type { Asked, Entry } from "./Manifest.ts"
import * as PartialFile from "./PartialFile.ts"
import { Plan } from "./Plan.ts"
import type { Progress } from "./Progress.ts"
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
  readonly asked?: Asked
  readonly progress: Progress
  /** Bytes have come. */
  readonly pace: (bytes: number) => Effect.Effect<void>
}

type ReceiverError = ChannelError | DiskFailed | TransferStopped

/** Until the sender has said its last, and all of it is safe. */
export const receive = (options: ReceiverOptions): Effect.Effect<void, ReceiverError> =>
  Effect.gen(function* () {
    const { entries, folded } = yield* ManifestReader.manifest(options)
    yield* options.progress.known(entries)
    yield* Effect.acquireUseRelease(
      Effect.sync(() => new Receiver(options, new Plan({ ...options, entries, folded }))),
      // What fails beside the reading ends it.
      (receiver) =>
        Effect.raceFirst(receiver.content, Effect.zipRight(receiver.beside, Effect.never)),
      (receiver) => Effect.sync(() => receiver.abandon())
    )
  })

class Receiver {
  readonly #options: ReceiverOptions
  readonly #plan: Plan
  readonly #safe: DurableReceipts
  readonly #pieces = new Pieces()
  /** The file that comes now. */
  #coming: PartialFile.PartialFile | undefined

  constructor(options: ReceiverOptions, plan: Plan) {
    this.#options = options
    this.#plan = plan
    this.#safe = new DurableReceipts(options.channel, options.progress)
  }

  abandon(): void {
    this.#coming?.leave()
    this.#plan.abandon()
    this.#safe.commits.abandon()
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
        const head = yield* frames.head
        if (head === undefined) return yield* frames.broken("a FIN before the last word")
        switch (head.type) {
          case FrameType.SmallFile:
            yield* this.#whole(yield* frames.whole(head.length))
            continue
          case FrameType.File:
            yield* this.#file(yield* frames.whole(head.length))
            continue
          case FrameType.Skip:
            yield* this.#pass(yield* frames.whole(head.length))
            continue
          case FrameType.Stop:
            return yield* ManifestReader.stopped(channel, frames, yield* frames.whole(head.length))
          case FrameType.TransferEnd:
            if (head.length > 0 || !this.#plan.isDone)
              return yield* frames.broken("a last word before the last file")
            return yield* this.#finish
          default:
            return yield* frames.broken("a frame where none of its type belongs")
        }
      }
    })
  }

  /** A small file in one frame: index (4) | digest (32) | bytes. */
  #whole(body: Buffer): Effect.Effect<void, ReceiverError> {
    return Effect.gen(this, function* () {
      const { frames, progress, pace } = this.#options
      if (body.length < 4 + digestBytes) return yield* frames.broken("a small file that is cut off")
      const index = body.readUInt32BE(0)
      const plan = this.#plan
      const settled = plan.settle(index)
      if (settled === undefined) return yield* frames.broken("a file that was not asked for")
      const { entry, part: wanted } = settled
      this.#coming = wanted
      const bytes = body.subarray(4 + digestBytes)
      if (bytes.length !== entry.size)
        return yield* frames.broken("a file of another size than it was to have")
      yield* pace(bytes.length)
      progress.came(bytes.length)
      if (Buffer.compare(ofSmall(bytes), body.subarray(4, 4 + digestBytes)) !== 0) {
        this.#coming = undefined
        wanted?.remove()
        return yield* this.#safe.receipts([{ index, outcome: "damaged" }])
      }
      const written = yield* Effect.either(
        attempt(() => {
          const { folder, name } = plan.look.place(index)
          const part = wanted ?? PartialFile.fresh(folder, name, this.#options.tag)
          this.#coming = part ?? settled.part
          PartialFile.writeSmall(part, bytes)
          part.dress(entry, wanted === undefined ? bytes.length : undefined)
          part.close()
          return part
        })
      )
      if (written._tag === "Left") {
        this.#coming?.remove()
        this.#coming = undefined
        yield* this.#safe.troubled(written.left, entry.path)
        return yield* this.#safe.receipts([{ index, outcome: "failed" }])
      }
      yield* this.#safe.commits.add({
        index,
        entry,
        part: written.right,
        policy: plan.look.policyOf(index)
      })
      this.#coming = undefined
    })
  }

  /** A file in pieces: index (4) | blocks that are kept (4). */
  #file(body: Buffer): Effect.Effect<void, ReceiverError> {
    return Effect.gen(this, function* () {
      const { frames, tag } = this.#options
      if (body.length !== 8) return yield* frames.broken("a file that is cut off")
      const [index, kept] = [body.readUInt32BE(0), body.readUInt32BE(4)]
      const settled = this.#plan.settle(index)
      if (settled === undefined) return yield* frames.broken("a file that was not asked for")
      const { entry, answer, digests } = settled
      this.#coming = settled.part
      // What is only compared is nothing that could be gone on with.
      const proven = answer === "have" ? digests : []
      if (kept > proven.length) return yield* frames.broken("blocks are kept that are not there")
      const open = () => {
        const { folder, name } = this.#plan.look.place(index)
        return settled.part ?? PartialFile.fresh(folder, name, tag)
      }
      const file = new IncomingFile({
        ...this.#options,
        pieces: this.#pieces,
        entry,
        kept: proven.slice(0, kept),
        open
      })
      this.#coming = file.part ?? settled.part
      for (;;) {
        const head = yield* frames.head
        if (head === undefined) return yield* frames.broken("a FIN inside a file")
        if (head.type !== FrameType.Bytes && head.type !== FrameType.Zeros)
          return yield* this.#end(index, entry, file, head)
        yield* file.piece(head.type === FrameType.Zeros, head.length)
      }
    })
  }

  /** What comes behind the last piece: its end, or that it does not come after all. */
  #end(
    index: number,
    entry: Entry,
    file: IncomingFile,
    { type, length }: Head
  ): Effect.Effect<void, ReceiverError> {
    return Effect.gen(this, function* () {
      const { channel, frames, progress } = this.#options
      yield* file.settled
      const { part } = file
      const last = yield* frames.whole(length)
      if (type === FrameType.Stop) return yield* ManifestReader.stopped(channel, frames, last)
      if (type === FrameType.Skip) {
        const pass = Messages.decodePass(last)
        if (pass === undefined || pass.index !== index)
          return yield* frames.broken("a word about another file inside of one")
        // What has come of a file that is another by now is of no use.
        if (pass.why === "changed") part?.remove()
        else part?.leave()
        this.#coming = undefined
        yield* progress.passed(index, pass.why)
        return yield* this.#safe.receipts([{ index, outcome: "left" }])
      }
      if (type !== FrameType.End || last.length !== digestBytes)
        return yield* frames.broken("a file without an end")
      if (!file.isWhole) return yield* frames.broken("a file of another size than it was to have")
      if (!file.is(last)) {
        this.#coming = undefined
        part?.remove()
        return yield* this.#safe.receipts([{ index, outcome: "damaged" }])
      }
      if (part === undefined || file.trouble !== undefined) {
        this.#coming = undefined
        part?.leave()
        yield* this.#safe.troubled(file.trouble, entry.path)
        return yield* this.#safe.receipts([{ index, outcome: "failed" }])
      }
      yield* this.#safe.commits.add({ index, entry, part, policy: this.#plan.look.policyOf(index) })
      this.#coming = undefined
    })
  }

  #pass(body: Buffer): Effect.Effect<void, ReceiverError> {
    return Effect.gen(this, function* () {
      const { frames, dry, progress } = this.#options
      const pass = Messages.decodePass(body)
      if (pass === undefined) return yield* frames.broken("a word about a file that is none")
      const settled = this.#plan.settle(pass.index)
      if (settled === undefined)
        return yield* frames.broken("a word about a file that was not asked for")
      const { entry, answer, part, as } = settled
      const compared = answer === "compare" || answer === "differs"
      if ((pass.why === "same" && !compared) || (pass.why === "dry" && !dry))
        return yield* frames.broken("a file that was asked for is not sent")
      // What was begun of it is of no use where it is there, or is another by now.
      if (pass.why === "same" || pass.why === "changed") part?.remove()
      else part?.leave()
      yield* progress.passed(pass.index, pass.why)
      if (pass.why === "same") progress.kept(entry.size)
      if (pass.why === "same" && as !== undefined) {
        const path = [...entry.path.split("/").slice(0, -1), as].join("/")
        return yield* this.#safe.receipts([{ index: pass.index, outcome: "same as", path }])
      }
      if (dry) return
      const outcome = pass.why === "same" ? "same" : pass.why === "other" ? "exists" : "left"
      yield* this.#safe.receipts([{ index: pass.index, outcome }])
    })
  }

  /** All is written: folders get what they have besides their content. */
  get #finish(): Effect.Effect<void, ReceiverError> {
    return Effect.gen(this, function* () {
      const { channel, dry, folders } = this.#options
      const { made } = this.#plan.look
      yield* this.#safe.commits.drained
      if (!dry) {
        const failed = diskFailed(folders.top.path)
        yield* Effect.mapError(
          attempt(() => made.dress()),
          failed
        )
        yield* Effect.mapError(made.flush, failed)
        yield* this.#safe.receipts(made.receipts)
      }
      yield* channel.write(frame(FrameType.Done))
    })
  }
}
