// How a transfer stands, for whoever watches it.
import * as Effect from "effect/Effect"
import type { Entry } from "./Manifest.ts"
import type { DiskFailed } from "./TransferErrors.ts"
import type { Answer, LeftOut, SkipReason, Receipt } from "./Messages.ts"

/** What is told of a transfer while it goes on, on either side. */
export interface TransferProgress {
  /** What will travel. */
  readonly planned: (entries: ReadonlyArray<Entry>) => Effect.Effect<void>
  /** What will not travel, and why. */
  readonly leftOut: (leftOut: LeftOut) => Effect.Effect<void>
  /** The receiver's last word about an entry. */
  readonly answered: (index: number, answer: Answer) => Effect.Effect<void>
  /** So many bytes travelled. */
  readonly transferred: (bytes: number) => void
  /** So many need not travel: they are there. */
  readonly reused: (bytes: number) => void
  /** The sender does not send it. */
  readonly skipped: (index: number, why: SkipReason) => Effect.Effect<void>
  /** What the receiver says of whole entries. */
  readonly confirmed: (receipts: ReadonlyArray<Receipt>) => Effect.Effect<void>
  /** This side's disk refused. */
  readonly diskFailed: (failed: DiskFailed) => Effect.Effect<void>
}
