import * as Effect from "effect/Effect"
import type { Entry } from "./Manifest.ts"
import type { Answer, LeftOut, Receipt, SkipReason } from "./Messages.ts"
import type { DiskFailed } from "./TransferErrors.ts"

/** Callbacks of a transfer in progress, on either side. Indices are those of the manifest. */
export interface TransferProgress {
  /** The manifest is complete. */
  readonly planned: (entries: ReadonlyArray<Entry>) => Effect.Effect<void>
  /** The sender left something out of the manifest. */
  readonly leftOut: (leftOut: LeftOut) => Effect.Effect<void>
  /** The receiver gave an answer after which nothing is sent for the entry. */
  readonly answered: (index: number, answer: Answer) => Effect.Effect<void>
  /** Content travelled: number of bytes. */
  readonly transferred: (bytes: number) => void
  /** Content need not travel, because the receiver has it or it is zeros: number of bytes. */
  readonly reused: (bytes: number) => void
  /** The sender skipped a file. */
  readonly skipped: (index: number, reason: SkipReason) => Effect.Effect<void>
  /** The receiver sent receipts. */
  readonly confirmed: (receipts: ReadonlyArray<Receipt>) => Effect.Effect<void>
  /** The disk of this side failed. */
  readonly diskFailed: (failed: DiskFailed) => Effect.Effect<void>
}

/** Callbacks that do nothing; replace those that you need. */
export const noProgress: TransferProgress = {
  planned: () => Effect.void,
  leftOut: () => Effect.void,
  answered: () => Effect.void,
  transferred: () => {},
  reused: () => {},
  skipped: () => Effect.void,
  confirmed: () => Effect.void,
  diskFailed: () => Effect.void
}
