// Files whose content is written wait here together: one flush for many. A file is flushed, gets its name, the name is flushed, and only
// then its receipt goes out. The flush of one batch's names is that of the next one's content.
import * as Effect from "effect/Effect"
import { flush } from "./Disk.ts"
import { limits } from "./limits.ts"
import { Signal } from "./Signal.ts"
import * as Names from "./Names.ts"
import type { PartialFile } from "./PartialFile.ts"
import type { Entry } from "./Manifest.ts"
import type { Policy, Receipt } from "./Messages.ts"

export interface WrittenFile {
  readonly index: number
  readonly entry: Entry
  readonly partial: PartialFile
  readonly policy: Policy
}

interface Placed {
  readonly written: WrittenFile
  readonly receipt: Receipt
}

export class CommitQueue {
  /** Content is written; not flushed. */
  #written: Array<WrittenFile> = []
  /** Has its name; the name is not flushed. */
  #placed: Array<Placed> = []
  readonly #news = new Signal()
  #draining = false
  /** All that were added and are not done. */
  readonly #held = new Set<PartialFile>()
  /** Under way: neither waits, nor has its receipt. */
  #inHand = 0
  readonly #receipt: (receipts: ReadonlyArray<Receipt>) => Effect.Effect<void>
  readonly #failed: (cause: unknown, path: string) => Effect.Effect<void>

  /** `receipt` is called when what it tells of is safe; `failed` when the disk refused. */
  constructor(
    receipt: (receipts: ReadonlyArray<Receipt>) => Effect.Effect<void>,
    failed: (cause: unknown, path: string) => Effect.Effect<void>
  ) {
    this.#receipt = receipt
    this.#failed = failed
  }

  /** Waits while too many wait already. */
  add(written: WrittenFile): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      this.#held.add(written.partial)
      while (this.#written.length >= limits.commitFiles) yield* this.#news.wait
      this.#written.push(written)
      this.#news.notify()
    })
  }

  /** Done when all that was added has its receipt. */
  readonly drained: Effect.Effect<void> = Effect.gen(this, function* () {
    this.#draining = true
    this.#news.notify()
    while (this.#written.length + this.#placed.length + this.#inHand > 0) yield* this.#news.wait
  })

  /** What is not done is let go: another session goes on with it. */
  abandon(): void {
    for (const part of this.#held) part.keepOrDiscard()
    this.#held.clear()
  }

  #let(part: PartialFile, go: "release" | "discard" | "keepOrDiscard"): void {
    this.#held.delete(part)
    part[go]()
  }

  readonly run: Effect.Effect<never> = Effect.gen(this, function* () {
    for (;;) {
      while (this.#written.length + this.#placed.length === 0) yield* this.#news.wait
      // A flush for few costs as much as one for many: those that are about to come are waited for.
      if (!this.#draining && this.#written.length < limits.commitFiles)
        yield* Effect.raceFirst(
          Effect.sleep(limits.commitDelay),
          Effect.repeat(this.#news.wait, { until: () => this.#draining })
        )
      const [batch, before] = [this.#written, this.#placed]
      this.#written = []
      this.#placed = []
      this.#inHand = batch.length + before.length
      this.#news.notify()
      yield* Effect.matchEffect(
        flush(
          batch.map(({ partial }) => partial),
          before.map(({ written }) => written.partial.folder)
        ),
        {
          onSuccess: () => this.#placeAll(batch, before),
          onFailure: (cause) => this.#fail(cause, batch, before)
        }
      )
      this.#inHand = 0
      this.#news.notify()
    }
  })

  #placeAll(batch: ReadonlyArray<WrittenFile>, before: ReadonlyArray<Placed>): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      for (const { written } of before) this.#let(written.partial, "release")
      const receipts = before.map(({ receipt }) => receipt)
      for (const written of batch) {
        try {
          const receipt = place(written)
          if (receipt.outcome === "exists") {
            this.#let(written.partial, "discard")
            receipts.push(receipt)
          } else this.#placed.push({ receipt, written })
        } catch (cause) {
          this.#let(written.partial, "keepOrDiscard")
          receipts.push({ index: written.index, outcome: "failed" })
          yield* this.#failed(cause, written.entry.path)
        }
      }
      yield* this.#receipt(receipts)
    })
  }

  #fail(
    cause: unknown,
    batch: ReadonlyArray<WrittenFile>,
    before: ReadonlyArray<Placed>
  ): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      const all = [...before.map(({ written }) => written), ...batch]
      for (const { partial } of all) this.#let(partial, "keepOrDiscard")
      yield* this.#failed(cause, all[0]?.entry.path ?? "")
      yield* this.#receipt(all.map(({ index }) => ({ index, outcome: "failed" as const })))
    })
  }
}

/** Gives the file its name, as the policy says. */
const place = ({ index, entry, partial, policy }: WrittenFile): Receipt => {
  for (let count = 0; ; count++) {
    const name = count === 0 ? partial.name : Names.numbered(partial.name, count)
    try {
      partial.commit(name, policy === "overwrite")
      if (count === 0) return { index, outcome: "stored" }
      return {
        index,
        outcome: "renamed",
        path: [...entry.path.split("/").slice(0, -1), name].join("/")
      }
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause
      if (policy !== "rename" || count === limits.renameAttempts)
        return { index, outcome: "exists" }
    }
  }
}
