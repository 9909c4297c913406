// Commits written files in batches, because one flush costs as much for many files as for one:
// flush the content, rename, flush the name, send the receipt. The flush of one batch's names is
// also the flush of the next batch's content.
import * as Effect from "effect/Effect"
import { flush } from "./Disk.ts"
import { limits } from "./limits.ts"
import type { Entry } from "./Manifest.ts"
import type { Policy, Receipt } from "./Messages.ts"
import * as Names from "./Names.ts"
import type { PartialFile } from "./PartialFile.ts"
import { Signal } from "./Signal.ts"

/** A file whose content is complete. */
export interface WrittenFile {
  readonly index: number
  readonly entry: Entry
  readonly partial: PartialFile
  readonly policy: Policy
}

interface NamedFile {
  readonly written: WrittenFile
  readonly receipt: Receipt
}

export class CommitQueue {
  /** Content is written and not flushed. */
  #written: Array<WrittenFile> = []
  /** Content is flushed; the name is given and not flushed. */
  #named: Array<NamedFile> = []
  /** Files that are being flushed: in neither list, and without a receipt. */
  #inFlight = 0
  /** Every file that was added and has no receipt. */
  readonly #pending = new Set<PartialFile>()
  readonly #changed = new Signal()
  #isDraining = false
  readonly #onCommitted: (receipts: ReadonlyArray<Receipt>) => Effect.Effect<void>
  readonly #onFailed: (cause: unknown, path: string) => Effect.Effect<void>

  /** Calls `onCommitted` with receipts of durable files, and `onFailed` when the disk fails. */
  constructor(
    onCommitted: (receipts: ReadonlyArray<Receipt>) => Effect.Effect<void>,
    onFailed: (cause: unknown, path: string) => Effect.Effect<void>
  ) {
    this.#onCommitted = onCommitted
    this.#onFailed = onFailed
  }

  /** Adds a file; waits while the queue is full. */
  add(written: WrittenFile): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      this.#pending.add(written.partial)
      while (this.#written.length >= limits.commitFiles) yield* this.#changed.wait
      this.#written.push(written)
      this.#changed.notify()
    })
  }

  /** Completes when every added file has its receipt. */
  readonly drained: Effect.Effect<void> = Effect.gen(this, function* () {
    this.#isDraining = true
    this.#changed.notify()
    while (this.#written.length + this.#named.length + this.#inFlight > 0) yield* this.#changed.wait
  })

  /** Keeps the files without a receipt for another session, or discards them. */
  abandon(): void {
    for (const partial of this.#pending) partial.keepOrDiscard()
    this.#pending.clear()
  }

  #finish(partial: PartialFile, how: "release" | "discard" | "keepOrDiscard"): void {
    this.#pending.delete(partial)
    partial[how]()
  }

  /** Commits files until it is interrupted. */
  readonly run: Effect.Effect<never> = Effect.gen(this, function* () {
    for (;;) {
      while (this.#written.length + this.#named.length === 0) yield* this.#changed.wait
      // Files that arrive within `commitDelay` share this flush.
      if (!this.#isDraining && this.#written.length < limits.commitFiles)
        yield* Effect.raceFirst(
          Effect.sleep(limits.commitDelay),
          Effect.repeat(this.#changed.wait, { until: () => this.#isDraining })
        )
      const [written, named] = [this.#written, this.#named]
      this.#written = []
      this.#named = []
      this.#inFlight = written.length + named.length
      this.#changed.notify()
      yield* Effect.matchEffect(
        flush(
          written.map(({ partial }) => partial),
          named.map((file) => file.written.partial.directory)
        ),
        {
          onSuccess: () => this.#nameFiles(written, named),
          onFailure: (cause) => this.#fail(cause, written, named)
        }
      )
      this.#inFlight = 0
      this.#changed.notify()
    }
  })

  /** After a flush: confirms the named files, and names the written ones. */
  #nameFiles(
    written: ReadonlyArray<WrittenFile>,
    named: ReadonlyArray<NamedFile>
  ): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      for (const file of named) this.#finish(file.written.partial, "release")
      const receipts = named.map(({ receipt }) => receipt)
      for (const file of written) {
        try {
          const receipt = giveName(file)
          if (receipt.outcome === "exists") {
            this.#finish(file.partial, "discard")
            receipts.push(receipt)
          } else this.#named.push({ receipt, written: file })
        } catch (cause) {
          this.#finish(file.partial, "keepOrDiscard")
          receipts.push({ index: file.index, outcome: "failed" })
          yield* this.#onFailed(cause, file.entry.path.text)
        }
      }
      yield* this.#onCommitted(receipts)
    })
  }

  #fail(
    cause: unknown,
    written: ReadonlyArray<WrittenFile>,
    named: ReadonlyArray<NamedFile>
  ): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      const files = [...named.map((file) => file.written), ...written]
      for (const { partial } of files) this.#finish(partial, "keepOrDiscard")
      yield* this.#onFailed(cause, files[0]?.entry.path.text ?? "")
      yield* this.#onCommitted(files.map(({ index }) => ({ index, outcome: "failed" as const })))
    })
  }
}

/** Gives a file its name under the policy; throws system errors. */
const giveName = ({ index, entry, partial, policy }: WrittenFile): Receipt => {
  for (let count = 0; ; count++) {
    const name = count === 0 ? partial.name : Names.numbered(partial.name, count)
    try {
      partial.commit(name, policy === "overwrite")
      return count === 0
        ? { index, outcome: "stored" }
        : { index, outcome: "renamed", path: entry.path.sibling(name) }
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause
      if (policy !== "rename" || count === limits.renameAttempts)
        return { index, outcome: "exists" }
    }
  }
}
