// A push over all of its sessions: what has arrived, and what has not.
import * as Effect from "effect/Effect"
import type { Progress } from "../Retry.ts"
import type { Entry } from "./Manifest.ts"
import type { Answer, Receipt, SkipReason } from "./Messages.ts"
import { TransferBusy, TransferIncomplete, type NextStep } from "./TransferErrors.ts"
import { noProgress, type TransferProgress } from "./TransferProgress.ts"

/** The outcome of an entry. */
type Outcome = Answer | Receipt["outcome"] | SkipReason

/** The outcomes of entries that are not at the receiver, and should be. */
const failures: Partial<Readonly<Record<Outcome, string>>> = {
  exists: "already exists with different content",
  refused: "permission denied by the rules for your key",
  quota: "exceeds the quota of your key",
  busy: "another transfer of this file is in progress",
  failed: "disk error at the receiver",
  damaged: "the received content differs from what was sent and was discarded",
  changed: "changed while it was read",
  unreadable: "cannot be read",
  missing: "no such file or folder"
}

const resolvedByRetry: ReadonlySet<Outcome> = new Set([
  "busy",
  "failed",
  "damaged",
  "changed",
  "missing"
])
const deniedByRules: ReadonlySet<Outcome> = new Set(["refused", "quota"])

/** The progress of a push. */
export interface PushProgress {
  /** Files to send, and those of them that are at the server. */
  readonly files: number
  readonly filesDone: number
  /** Bytes of the files, and those of them that have travelled or need not. */
  readonly bytes: number
  readonly bytesDone: number
}

/** The result of a push. */
export interface PushSummary {
  /** Files that the server has stored in this push. */
  readonly stored: number
  /** Files that it had already. */
  readonly same: number
  /** Files that were left out, because the policy is to skip those that exist. */
  readonly skipped: number
  /** Bytes of all files. */
  readonly bytes: number
}

export class PushState implements Progress {
  readonly #entries: ReadonlyArray<Entry>
  readonly #files: number
  readonly #bytes: number
  readonly #skips: boolean
  /** The outcomes of this session, by index: the last session decides. */
  #outcomes = new Map<number, Outcome>()
  #bytesDone = 0
  #filesDone = 0
  /** Bytes and receipts of all sessions together. */
  #steps = 0
  #hasConnected = false
  readonly #onChange: Effect.Effect<void>

  /** `onChange` is run when files have arrived. */
  constructor(entries: ReadonlyArray<Entry>, skips: boolean, onChange: Effect.Effect<void>) {
    const files = entries.filter(({ kind }) => kind === "file")
    this.#entries = entries
    this.#files = files.length
    this.#bytes = files.reduce((sum, { size }) => sum + size, 0)
    this.#skips = skips
    this.#onChange = onChange
  }

  readonly progress = (): number => this.#steps
  readonly hasConnected = (): boolean => this.#hasConnected

  get current(): PushProgress {
    return {
      files: this.#files,
      filesDone: this.#filesDone,
      bytes: this.#bytes,
      bytesDone: Math.min(this.#bytes, this.#bytesDone)
    }
  }

  /** A session is open; everything is answered anew. */
  startSession(): void {
    this.#hasConnected = true
    this.#outcomes = new Map()
    this.#bytesDone = 0
    this.#filesDone = 0
  }

  readonly observer: TransferProgress = {
    ...noProgress,
    answered: (index, answer) =>
      Effect.suspend(() => {
        if (answer === "made") return Effect.void
        this.#bytesDone += this.#entries[index]?.size ?? 0
        return this.#complete([[index, answer]])
      }),
    transferred: (bytes) => {
      this.#bytesDone += bytes
      this.#steps += bytes
    },
    reused: (bytes) => {
      this.#bytesDone += bytes
    },
    skipped: (index, reason) =>
      Effect.sync(() => void this.#outcomes.set(index, reason === "other" ? "exists" : reason)),
    confirmed: (receipts) =>
      Effect.suspend(() => {
        this.#steps += receipts.length
        return this.#complete(
          receipts.map(({ index, outcome }) => [index, this.#outcomeOf(index, outcome)])
        )
      })
  }

  #outcomeOf(index: number, outcome: Receipt["outcome"]): Outcome {
    if (outcome === "same as") return "same"
    if (outcome === "left") return this.#outcomes.get(index) ?? "failed"
    // The name was free when the receiver answered: another transfer took it meanwhile.
    return outcome === "exists" && this.#skips ? "skipped" : outcome
  }

  #complete(outcomes: ReadonlyArray<readonly [index: number, Outcome]>): Effect.Effect<void> {
    for (const [index, outcome] of outcomes) {
      this.#outcomes.set(index, outcome)
      if (this.#entries[index]?.kind === "file" && failures[outcome] === undefined)
        this.#filesDone++
    }
    return this.#onChange
  }

  /** Fails with TransferBusy if another session holds a partial file that is to be resumed. */
  readonly failIfBusy: Effect.Effect<void, TransferBusy> = Effect.suspend(() => {
    const [busy] = [...this.#outcomes].find(([, outcome]) => outcome === "busy") ?? []
    return busy === undefined
      ? Effect.void
      : new TransferBusy({ path: this.#entries[busy]?.path.text ?? "" })
  })

  /** Fails with TransferIncomplete if something has not arrived. */
  readonly conclude: Effect.Effect<PushSummary, TransferIncomplete> = Effect.suspend(() => {
    const ended = [...this.#outcomes].map(([index, outcome]) => {
      const { path, kind = "file" } = this.#entries[index] ?? {}
      return { path: path?.text ?? "", outcome, kind, failure: failures[outcome] }
    })
    const failed = ended.filter(({ failure }) => failure !== undefined)
    const [first] = failed
    if (first !== undefined)
      return new TransferIncomplete({
        counts: (["file", "folder", "link"] as const)
          .map((kind) => ({
            kind,
            total: ended.filter((each) => each.kind === kind).length,
            failed: failed.filter((each) => each.kind === kind).length
          }))
          .filter(({ failed }) => failed > 0),
        first: `${first.path}: ${first.failure}`,
        next: nextStep(failed.map(({ outcome }) => outcome)),
        dry: false
      })
    const count = (...wanted: ReadonlyArray<Outcome>) =>
      ended.filter(({ kind, outcome }) => kind === "file" && wanted.includes(outcome)).length
    return Effect.succeed({
      stored: count("stored", "renamed"),
      same: count("same"),
      skipped: count("skipped"),
      bytes: this.#bytes
    })
  })
}

const nextStep = (failed: ReadonlyArray<Outcome>): NextStep =>
  failed.every((outcome) => deniedByRules.has(outcome))
    ? "rules"
    : failed.some((outcome) => resolvedByRetry.has(outcome))
      ? "again"
      : "change"
