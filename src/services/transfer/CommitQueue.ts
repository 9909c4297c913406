// Commits written files in batches, because one flush costs as much for many files as for one:
// flush the content, rename, flush the name, send the receipt. The flush of one batch's names is
// also the flush of the next batch's content.
import * as Effect from "effect/Effect"
import { flushDirectory, flushEach, flushFile, PieceBuffers } from "./Disk.ts"
import { limits } from "./limits.ts"
import type { Receipt } from "./Messages.ts"
import { giveName, type Naming, type WrittenFile } from "./Naming.ts"
import type { SafeDirectory } from "./SafeDirectory.ts"
import { Signal } from "./Signal.ts"
import { isFull } from "./TransferErrors.ts"

interface NamedFile extends Naming {
  readonly written: WrittenFile
}

/** A file that was there, and of which nobody knows whether it is on the disk yet. */
export interface ExistingFile {
  readonly receipt: Receipt
  /** For reports. */
  readonly path: string
  /** Stays open until the receipt is due. */
  readonly directory: SafeDirectory
  readonly name: string
}

/** Sends receipts of files that are durable, or have failed. */
type SendReceipts = (receipts: ReadonlyArray<Receipt>) => Effect.Effect<void>

export class CommitQueue {
  /** Content is written and not flushed. */
  #written: Array<WrittenFile> = []
  /** Content is flushed; the name is given and not flushed. */
  #named: Array<NamedFile> = []
  /** Files that were there, and are flushed with their names. */
  #existing: Array<ExistingFile> = []
  /** What is due for files that have left the lists. */
  #receipts: Array<Receipt> = []
  /** Number of files of the batch in progress. */
  #inFlight = 0
  readonly #changed = new Signal()
  #isDraining = false
  #isClosed = false
  readonly #onFailed: (cause: unknown, path: string) => Effect.Effect<void>
  /** For files whose names are taken. */
  readonly #buffers = new PieceBuffers(1)

  readonly #flushFolders: Effect.Effect<void, NodeJS.ErrnoException>

  /**
   * Calls `onFailed` when the disk fails. `flushFolders` flushes the names of the folders that were
   * made for the files.
   */
  constructor(
    onFailed: (cause: unknown, path: string) => Effect.Effect<void>,
    flushFolders: Effect.Effect<void, NodeJS.ErrnoException>
  ) {
    this.#onFailed = onFailed
    this.#flushFolders = flushFolders
  }

  /** Waits while the queue is full. */
  readonly ready: Effect.Effect<void> = Effect.gen(this, function* () {
    while (this.#written.length + this.#existing.length >= limits.commitFiles || this.#isClosed)
      yield* this.#changed.wait
  })

  /** Adds a file, once the queue is ready. */
  add(written: WrittenFile): void {
    this.#written.push(written)
    this.#changed.notify()
  }

  /** Adds a file that was there, once the queue is ready. */
  addExisting(existing: ExistingFile): void {
    existing.directory.pins++
    this.#existing.push(existing)
    this.#changed.notify()
  }

  /** Takes no more files. */
  close(): void {
    this.#isClosed = true
  }

  /** Completes when the receipt of every file that was added has been sent. */
  readonly drained: Effect.Effect<void> = Effect.gen(this, function* () {
    this.#isDraining = true
    this.#changed.notify()
    while (!this.#isEmpty || this.#inFlight > 0) yield* this.#changed.wait
  })

  get #isEmpty(): boolean {
    return this.#written.length + this.#named.length + this.#existing.length === 0
  }

  /** Commits files until it is interrupted, which lets the batch in progress finish. */
  run(send: SendReceipts): Effect.Effect<never> {
    return Effect.gen(this, function* () {
      for (;;) {
        while (this.#isEmpty) yield* this.#changed.wait
        // Files that arrive within `commitDelay` share this flush.
        if (!this.#isDraining && this.#written.length < limits.commitFiles)
          yield* Effect.raceFirst(
            Effect.sleep(limits.commitDelay),
            Effect.repeat(this.#changed.wait, { until: () => this.#isDraining })
          )
        yield* Effect.uninterruptible(this.#commitBatch)
        yield* this.#sendReceipts(send)
        this.#inFlight = 0
        this.#changed.notify()
      }
    })
  }

  /**
   * Commits the files that were added, after `run` has ended: they are complete, whatever has ended
   * the session.
   */
  finish(send: SendReceipts): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      this.close()
      while (!this.#isEmpty) yield* this.#commitBatch
      yield* this.#sendReceipts(send)
    })
  }

  /** Keeps the files that were added for another session, or discards them. */
  abandon(): void {
    this.close()
    for (const { partial } of this.#written) partial.keepOrDiscard()
    for (const { written, end } of this.#named) written.partial[end]()
    for (const { directory } of this.#existing) directory.pins--
    this.#written = []
    this.#named = []
    this.#existing = []
  }

  #sendReceipts(send: SendReceipts): Effect.Effect<void> {
    return Effect.suspend(() => {
      const receipts = this.#receipts
      this.#receipts = []
      return receipts.length === 0 ? Effect.void : send(receipts)
    })
  }

  /** Flushes what was written and what was named, and names what was written. */
  get #commitBatch(): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      const [written, named, existing] = [this.#written, this.#named, this.#existing]
      this.#written = []
      this.#named = []
      this.#existing = []
      this.#inFlight = written.length + named.length + existing.length
      this.#changed.notify()
      const directories = [
        ...named.map((file) => file.written.partial.directory),
        ...existing.map(({ directory }) => directory)
      ]
      const [folders, unwritten, unnamed, unflushed] = yield* Effect.all(
        [
          Effect.either(this.#flushFolders),
          flushEach(
            written.map(({ partial }) => partial),
            flushFile
          ),
          flushEach(new Set(directories), flushDirectory),
          flushEach(existing, ({ directory, name }) => flushFile({ directory, partialName: name }))
        ],
        { concurrency: 4 }
      )
      const lost = folders._tag === "Left" ? folders.left : undefined
      for (const file of named) {
        const { partial } = file.written
        const cause = lost ?? unnamed.get(partial.directory)
        partial[file.end]()
        if (cause === undefined) this.#receipts.push(file.receipt)
        else yield* this.#fail(file.written.index, file.written.entry.path.text, cause)
      }
      for (const file of existing) {
        const cause = lost ?? unflushed.get(file) ?? unnamed.get(file.directory)
        file.directory.pins--
        if (cause === undefined) this.#receipts.push(file.receipt)
        else yield* this.#fail(file.receipt.index, file.path, cause)
      }
      for (const file of written) {
        const cause = unwritten.get(file.partial)
        yield* cause === undefined ? this.#name(file) : this.#discard(file, cause)
      }
    })
  }

  #name(written: WrittenFile): Effect.Effect<void> {
    return Effect.matchEffect(giveName(written, this.#buffers), {
      onFailure: (cause) => this.#discard(written, cause),
      onSuccess: (naming) =>
        Effect.sync(() => {
          if (naming.isNamed) return void this.#named.push({ ...naming, written })
          written.partial[naming.end]()
          this.#receipts.push(naming.receipt)
        })
    })
  }

  #discard(written: WrittenFile, cause: NodeJS.ErrnoException): Effect.Effect<void> {
    written.partial.keepOrDiscard()
    return this.#fail(written.index, written.entry.path.text, cause)
  }

  /** Reports a failure. A full disk ends the session, and the file has no receipt. */
  #fail(index: number, path: string, cause: NodeJS.ErrnoException): Effect.Effect<void> {
    if (!isFull(cause.code ?? "")) this.#receipts.push({ index, outcome: "failed" })
    return this.#onFailed(cause, path)
  }
}
