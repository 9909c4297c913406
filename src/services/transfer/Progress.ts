// How a transfer stands, for whoever watches it.
import * as Effect from "effect/Effect"
import type { Entry } from "./Manifest.ts"
import type { DiskFailed } from "./TransferErrors.ts"
import type { Answer, LeftOut, Pass, Receipt } from "./Messages.ts"

/** What is told of a transfer while it goes on, on either side. */
export interface Progress {
  /** What will travel. */
  readonly known: (entries: ReadonlyArray<Entry>) => Effect.Effect<void>
  /** What will not travel, and why. */
  readonly leftOut: (leftOut: LeftOut) => Effect.Effect<void>
  /** The receiver's last word about an entry. */
  readonly answered: (index: number, answer: Answer) => Effect.Effect<void>
  /** So many bytes travelled. */
  readonly came: (bytes: number) => void
  /** So many need not travel: they are there. */
  readonly kept: (bytes: number) => void
  /** The sender does not send it. */
  readonly passed: (index: number, why: Pass) => Effect.Effect<void>
  /** What the receiver says of whole entries. */
  readonly receipts: (receipts: ReadonlyArray<Receipt>) => Effect.Effect<void>
  /** This side's disk refused. */
  readonly trouble: (failed: DiskFailed) => Effect.Effect<void>
}
