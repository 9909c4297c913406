// The side that gets files: hears what will come, says what it wants of it, writes it down, and says when it is safe. TRANSFER.md section 5.
//
//   manifest -> Plan (answers) -> frames -> Part -> Commits (flush, name, flush) -> receipts
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type { Channel } from "../../channel/Channel.ts"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import { Commits } from "./Commits.ts"
import { digestBytes, ofPiece, ofSmall, ofZeros, Tree } from "./Digest.ts"
import { attempt, Pieces, writeAt } from "./Disk.ts"
import type { Folders } from "./Folder.ts"
import { frame, FrameType, type Frames } from "./Frame.ts"
import { protocolLimits } from "./limits.ts"
import { Decoder, tooMuch, type Asked, type Entry } from "./Manifest.ts"
import * as Part from "./Part.ts"
import { Plan, type Quota } from "./Plan.ts"
import type { Progress } from "./Progress.ts"
import { DiskFailed, diskFailed, isFull, TransferStopped } from "./TransferErrors.ts"
import * as Words from "./Words.ts"

export interface ReceiverOptions {
  readonly channel: Channel
  readonly frames: Frames
  /** Where everything goes. */
  readonly folders: Folders
  /** What this peer's unfinished files are called by. */
  readonly tag: string
  readonly policy: Words.Policy
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
  Effect.acquireUseRelease(
    Effect.sync(() => new Receiver(options)),
    (receiver) =>
      Effect.zipRight(
        receiver.manifest,
        // What fails beside the reading ends it.
        Effect.suspend(() => Effect.raceFirst(receiver.content, Effect.zipRight(receiver.beside, Effect.never)))
      ),
    (receiver) => Effect.sync(() => receiver.abandon())
  )

class Receiver {
  readonly #options: ReceiverOptions
  readonly #decoder: Decoder
  readonly #pieces = new Pieces()
  readonly #commits: Commits
  readonly #full = Deferred.unsafeMake<never, ReceiverError>(FiberId.none)
  #plan: Plan | undefined
  /** The file that comes now. */
  #coming: Part.Part | undefined

  constructor(options: ReceiverOptions) {
    this.#options = options
    this.#decoder = new Decoder(options.asked)
    this.#commits = new Commits(this.#receipts, this.#troubled)
  }

  abandon(): void {
    this.#coming?.leave()
    this.#plan?.abandon()
    this.#commits.abandon()
  }

  get #entries(): ReadonlyArray<Entry> {
    return this.#decoder.entries
  }

  /** Everything that will come, before any of it. */
  readonly manifest: Effect.Effect<void, ReceiverError> = Effect.gen(this, function* () {
    const { frames, progress } = this.#options
    const leftOut = { count: 0, bytes: 0 }
    for (;;) {
      const head = yield* frames.head
      if (head === undefined) return yield* frames.broken("a FIN inside a manifest")
      const body = yield* frames.whole(head.length)
      if (head.type === FrameType.Entries) {
        const wrong = this.#decoder.push(body)
        if (wrong !== undefined) {
          // Too much is no attack; whoever sends it is told.
          if (tooMuch.has(wrong)) return yield* new TransferStopped({ peer: "this side", reason: "many", side: "here" })
          return yield* frames.broken(wrong)
        }
      } else if (head.type === FrameType.LeftOut) {
        const one = Words.decodeLeftOut(body)
        if (one === undefined) return yield* frames.broken("a word about what is left out that is none")
        leftOut.bytes += body.length
        if (++leftOut.count > protocolLimits.entries || leftOut.bytes > protocolLimits.manifestBytes)
          return yield* new TransferStopped({ peer: "this side", reason: "many", side: "here" })
        yield* progress.leftOut(one)
      } else if (head.type === FrameType.All) {
        if (!Words.isAll(body, this.#entries.length, this.#decoder.bytes))
          return yield* frames.broken("a manifest with other totals")
        break
      } else if (head.type === FrameType.Stop) return yield* this.#stopped(body)
      else return yield* frames.broken("no manifest")
    }
    this.#decoder.end()
    this.#plan = new Plan({ ...this.#options, entries: this.#entries, folded: this.#decoder.folded })
    yield* progress.known(this.#entries)
  })

  /** What goes on while files come: answers go out, and what is written is made safe. */
  get beside(): Effect.Effect<unknown, ReceiverError> {
    const plan = this.#plan as Plan
    // A loss is told by the reading.
    const answers = Effect.catchAll(plan.run, () => Effect.never)
    return Effect.all([answers, this.#commits.run, Deferred.await(this.#full)], { concurrency: 3, discard: true })
  }

  /** The files, and the end. */
  get content(): Effect.Effect<void, ReceiverError> {
    return Effect.gen(this, function* () {
      const { frames } = this.#options
      const plan = this.#plan as Plan
      for (;;) {
        const head = yield* frames.head
        if (head === undefined) return yield* frames.broken("a FIN before the last word")
        switch (head.type) {
          case FrameType.Whole:
            yield* this.#whole(yield* frames.whole(head.length))
            continue
          case FrameType.File:
            yield* this.#file(yield* frames.whole(head.length))
            continue
          case FrameType.Pass:
            yield* this.#pass(yield* frames.whole(head.length))
            continue
          case FrameType.Stop:
            return yield* this.#stopped(yield* frames.whole(head.length))
          case FrameType.Last:
            if (head.length > 0 || !plan.isDone) return yield* frames.broken("a last word before the last file")
            return yield* this.#finish
          default:
            return yield* frames.broken("a frame where none of its type belongs")
        }
      }
    })
  }

  #stopped(body: Buffer): Effect.Effect<never, ReceiverError> {
    const { channel, frames } = this.#options
    const reason = Words.decodeStop(body)
    return reason === undefined
      ? frames.broken("a stop for no reason")
      : new TransferStopped({ peer: channel.peer, reason, side: "there" })
  }

  /** Says why it goes no further. */
  #stop(reason: Words.StopReason): Effect.Effect<void, ChannelError> {
    return this.#options.channel.write(frame(FrameType.Stop, Words.encodeStop(reason)))
  }

  /** A disk that takes no more ends the session; another fault is that of one file. */
  readonly #troubled = (cause: unknown, path: string): Effect.Effect<void> =>
    Effect.gen(this, function* () {
      const failed = diskFailed(path)(cause)
      yield* this.#options.progress.trouble(failed)
      if (!isFull(failed.code)) return
      yield* Effect.ignore(this.#stop("full"))
      yield* Deferred.fail(this.#full, failed)
      // Nothing more is done: that ends it.
      return yield* Effect.never
    })

  readonly #receipts = (receipts: ReadonlyArray<Words.Receipt>): Effect.Effect<void> =>
    Effect.gen(this, function* () {
      const { channel, progress } = this.#options
      for (let at = 0; at < receipts.length; at += 2048) {
        const some = receipts.slice(at, at + 2048)
        // A loss is told by the reading.
        yield* Effect.ignore(channel.write(frame(FrameType.Receipts, Words.encodeReceipts(some))))
        yield* progress.receipts(some)
      }
    })

  /** A small file in one frame: index (4) | digest (32) | bytes. */
  #whole(body: Buffer): Effect.Effect<void, ReceiverError> {
    return Effect.gen(this, function* () {
      const { frames, progress, pace } = this.#options
      if (body.length < 4 + digestBytes) return yield* frames.broken("a small file that is cut off")
      const index = body.readUInt32BE(0)
      const plan = this.#plan as Plan
      const settled = plan.settle(index)
      if (settled === undefined) return yield* frames.broken("a file that was not asked for")
      const { entry, part: wanted } = settled
      this.#coming = wanted
      const bytes = body.subarray(4 + digestBytes)
      if (bytes.length !== entry.size) return yield* frames.broken("a file of another size than it was to have")
      yield* pace(bytes.length)
      progress.came(bytes.length)
      if (Buffer.compare(ofSmall(bytes), body.subarray(4, 4 + digestBytes)) !== 0) {
        this.#coming = undefined
        wanted?.remove()
        return yield* this.#receipts([{ index, outcome: "damaged" }])
      }
      const written = yield* Effect.either(
        attempt(() => {
          const { folder, name } = plan.place(index)
          const part = wanted ?? Part.fresh(folder, name, this.#options.tag)
          this.#coming = part ?? settled.part
          Part.writeSmall(part, bytes)
          part.dress(entry)
          part.close()
          return part
        })
      )
      if (written._tag === "Left") {
        this.#coming?.remove()
        this.#coming = undefined
        yield* this.#troubled(written.left, entry.path)
        return yield* this.#receipts([{ index, outcome: "failed" }])
      }
      yield* this.#commits.add({ index, entry, part: written.right, policy: plan.policyOf(index) })
      this.#coming = undefined
    })
  }

  /** A file in pieces: index (4) | blocks that are kept (4). */
  #file(body: Buffer): Effect.Effect<void, ReceiverError> {
    return Effect.gen(this, function* () {
      const { frames, progress, pace } = this.#options
      if (body.length !== 8) return yield* frames.broken("a file that is cut off")
      const [index, kept] = [body.readUInt32BE(0), body.readUInt32BE(4)]
      const plan = this.#plan as Plan
      const settled = plan.settle(index)
      if (settled === undefined) return yield* frames.broken("a file that was not asked for")
      const { entry, answer, digests } = settled
      this.#coming = settled.part
      // What is only compared is nothing that could be gone on with.
      const proven = answer === "have" ? digests : []
      if (kept > proven.length) return yield* frames.broken("blocks are kept that are not there")
      const tree = new Tree(proven.slice(0, kept))
      let at = Math.min(kept * protocolLimits.blockBytes, entry.size)
      progress.kept(at)
      let trouble: unknown
      const guard = <A>(use: () => A): A | undefined => {
        try {
          return use()
        } catch (cause) {
          trouble ??= cause
          return undefined
        }
      }
      const part = guard(() => {
        const { folder, name } = plan.place(index)
        const opened = settled.part ?? Part.fresh(folder, name, this.#options.tag)
        opened.truncate(at)
        return opened
      })
      this.#coming = part ?? settled.part
      const writing: Array<Promise<void>> = []
      const hashing: Array<Buffer | Promise<Buffer>> = []
      const one = Effect.promise(async () => {
        const digest = hashing.shift()
        if (digest !== undefined) tree.push(await digest)
        await writing.shift()
      })
      for (;;) {
        const head = yield* frames.head
        if (head === undefined) return yield* frames.broken("a FIN inside a file")
        const length = Math.min(protocolLimits.pieceBytes, entry.size - at)
        if (head.type === FrameType.Bytes || head.type === FrameType.Zeros) {
          if (length === 0 || head.length !== (head.type === FrameType.Bytes ? length : 0))
            return yield* frames.broken("a piece of another size than it was to have")
          if (hashing.length > 1) yield* one
          if (head.type === FrameType.Zeros) {
            hashing.push(ofZeros(length))
            writing.push(Promise.resolve())
            progress.kept(length)
          } else {
            const piece = this.#pieces.next().subarray(0, length)
            for (let have = 0; have < length;) {
              const some = yield* frames.some(length - have)
              piece.set(some, have)
              have += some.length
              progress.came(some.length)
              yield* pace(some.length)
            }
            hashing.push(ofPiece(piece))
            const position = at
            writing.push(
              part === undefined || trouble !== undefined
                ? Promise.resolve()
                : writeAt(part.fd, piece, position).catch((cause: unknown) => {
                    trouble ??= cause
                  })
            )
          }
          at += length
          continue
        }
        while (hashing.length > 0) yield* one
        const last = yield* frames.whole(head.length)
        if (head.type === FrameType.Pass) {
          const pass = Words.decodePass(last)
          if (pass === undefined || pass.index !== index) return yield* frames.broken("a word about another file inside of one")
          // What has come of a file that is another by now is of no use.
          if (pass.why === "changed") part?.remove()
          else part?.leave()
          this.#coming = undefined
          yield* progress.passed(index, pass.why)
          return yield* this.#receipts([{ index, outcome: "left" }])
        }
        if (head.type === FrameType.Stop) return yield* this.#stopped(last)
        if (head.type !== FrameType.End || last.length !== digestBytes) return yield* frames.broken("a file without an end")
        if (at !== entry.size) return yield* frames.broken("a file of another size than it was to have")
        const whole = Buffer.compare(tree.digest(), last) === 0
        if (whole && part !== undefined && trouble === undefined)
          guard(() => {
            part.dress(entry)
            part.close()
          })
        this.#coming = undefined
        if (!whole) {
          part?.remove()
          return yield* this.#receipts([{ index, outcome: "damaged" }])
        }
        if (part === undefined || trouble !== undefined) {
          part?.leave()
          yield* this.#troubled(trouble, entry.path)
          return yield* this.#receipts([{ index, outcome: "failed" }])
        }
        this.#coming = part
        yield* this.#commits.add({ index, entry, part, policy: plan.policyOf(index) })
        this.#coming = undefined
        return
      }
    })
  }

  #pass(body: Buffer): Effect.Effect<void, ReceiverError> {
    return Effect.gen(this, function* () {
      const { frames, dry, progress } = this.#options
      const pass = Words.decodePass(body)
      if (pass === undefined) return yield* frames.broken("a word about a file that is none")
      const plan = this.#plan as Plan
      const settled = plan.settle(pass.index)
      if (settled === undefined) return yield* frames.broken("a word about a file that was not asked for")
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
        return yield* this.#receipts([{ index: pass.index, outcome: "same as", path }])
      }
      if (dry) return
      const outcome = pass.why === "same" ? "same" : pass.why === "other" ? "exists" : "left"
      yield* this.#receipts([{ index: pass.index, outcome }])
    })
  }

  /** All is written: folders get what they have besides their content. */
  get #finish(): Effect.Effect<void, ReceiverError> {
    return Effect.gen(this, function* () {
      const { channel, dry } = this.#options
      const plan = this.#plan as Plan
      yield* this.#commits.drained
      if (!dry) {
        const folders = plan.folders()
        yield* Effect.mapError(
          attempt(() => folders.forEach(plan.dress)),
          diskFailed(this.#options.folders.top.path)
        )
        yield* Effect.mapError(plan.flush, diskFailed(this.#options.folders.top.path))
        yield* this.#receipts(plan.made())
      }
      yield* channel.write(frame(FrameType.Done))
    })
  }
}
