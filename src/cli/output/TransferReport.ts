// Shows a transfer to the user: turns its progress into events, totals and the progress line.
import * as Effect from "effect/Effect"
import type { Entry } from "../../services/transfer/Manifest.ts"
import type { Answer, LeftOut, Receipt, SkipReason } from "../../services/transfer/Messages.ts"
import { TransferBusy, TransferIncomplete } from "../../services/transfer/TransferErrors.ts"
import type { TransferProgress } from "../../services/transfer/TransferProgress.ts"
import { Event } from "./events/index.ts"
import { formatBytes } from "./events/phrases.ts"
import { outcomes, nextStepFor, type Outcome, type Totals } from "./events/transferEvents.ts"
import type { ProgressLine } from "./ProgressLine.ts"

export const limits = {
  /** Most lines about entries that were left out or failed; the rest is counted. */
  omissionLines: 20,
  /** Most names in one line. */
  namesShown: 20
} as const

const outcomeOfAnswer = (answer: Answer): Outcome =>
  answer in outcomes ? (answer as Outcome) : "failed"

/** The outcome of a skipped file; its receipt says only that it was skipped. */
const outcomeOfSkip = (reason: SkipReason): Outcome =>
  reason === "other" ? "exists" : reason === "dry" ? "failed" : reason

/** The action that a dry run lists for a skipped file. */
const plannedAction = (reason: SkipReason): string =>
  reason === "dry" ? "send" : reason === "other" ? "exists" : reason

/** Something that is not in the manifest, or did not arrive. */
interface Omission {
  /** For display only, unless it is that of an entry. */
  readonly path: string
  readonly outcome: Outcome
}

interface TransferReportOptions {
  readonly dry: boolean
  readonly json: boolean
  /** A file whose name is taken is skipped, and no failure. Default: false. */
  readonly skips?: boolean
  /** Top-level names that a pull requested, "" for everything. The transfer fails without them. */
  readonly requested?: ReadonlyArray<string>
}

export class TransferReport {
  readonly #emit: (event: Event) => Effect.Effect<void>
  readonly #dry: boolean
  readonly #json: boolean
  readonly #skips: boolean
  readonly #requested: ReadonlyArray<string>
  #entries: ReadonlyArray<Entry> = []
  /** Outcomes of this session, by index. */
  #outcomes = new Map<number, Outcome>()
  /** Sizes and counts of this session. */
  #totalBytes = 0
  #transferredBytes = 0
  #reusedBytes = 0
  #fileCount = 0
  #filesDone = 0
  #currentIndex = 0
  /** Bytes and receipts of all sessions together. */
  #allBytes = 0
  #allReceipts = 0
  #hasConnected = false
  #omissionLines = 0
  /** Keys of events that are emitted once, however many sessions repeat them. */
  readonly #emitted = new Set<string>()
  /** The warnings of all sessions and of this one: how often each was given. */
  readonly #warned = new Map<string, number>()
  #warnedNow = new Map<string, number>()
  /** The sources that no session of a push sends. */
  readonly #notSent: Array<Omission> = []
  /** The entries that the sender of a pull has left out in this session. */
  #leftOut: Array<Omission> = []
  /** The actions of a dry run, by index: emitted at the end, in order. */
  readonly #planned = new Map<number, { readonly what: string; readonly as?: string }>()

  constructor(
    emit: (event: Event) => Effect.Effect<void>,
    { dry, json, skips = false, requested = [] }: TransferReportOptions
  ) {
    this.#emit = emit
    this.#dry = dry
    this.#json = json
    this.#skips = skips
    this.#requested = requested
  }

  /** Grows with every byte and receipt. */
  readonly progress = (): number => this.#allBytes + this.#allReceipts

  readonly hasConnected = (): boolean => this.#hasConnected

  /** Callbacks for the transfer. */
  readonly observer: TransferProgress = {
    planned: (entries) => this.#start(entries),
    leftOut: (leftOut) => this.#omit(this.#leftOut, leftOut),
    answered: (index, answer) =>
      Effect.suspend(() => {
        if (answer === "made") return this.#dry ? this.#plan(index, "make") : Effect.void
        this.#reusedBytes += this.#entries[index]?.size ?? 0
        return this.#dry
          ? this.#plan(index, answer)
          : this.#complete(index, outcomeOfAnswer(answer))
      }),
    transferred: (bytes) => {
      this.#transferredBytes += bytes
      this.#allBytes += bytes
    },
    reused: (bytes) => {
      this.#reusedBytes += bytes
    },
    skipped: (index, reason) =>
      Effect.suspend(() => {
        if (this.#dry) return this.#plan(index, plannedAction(reason))
        this.#outcomes.set(index, outcomeOfSkip(reason))
        return Effect.void
      }),
    confirmed: (receipts) =>
      Effect.forEach(
        receipts,
        ({ index, outcome, path }) => {
          this.#allReceipts++
          if (this.#dry) return this.#plan(index, "same", path?.text)
          if (outcome === "same as") return this.#complete(index, "same", path?.text)
          return this.#complete(index, this.#outcomeOfReceipt(index, outcome), path?.text)
        },
        { discard: true }
      ),
    diskFailed: (failed) =>
      this.#emitOnce(failed.message, Event.DiskFailed({ text: failed.message }))
  }

  #outcomeOfReceipt(index: number, outcome: Exclude<Receipt["outcome"], "same as">): Outcome {
    if (outcome === "left") return this.#outcomes.get(index) ?? "failed"
    // The name was free when the receiver answered: another transfer took it meanwhile.
    return outcome === "exists" && this.#skips ? "skipped" : outcome
  }

  /** Forgets what an earlier session has reported: the next one reports it again. */
  startSession(): void {
    this.#leftOut = []
    this.#warnedNow = new Map()
  }

  #start(entries: ReadonlyArray<Entry>): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#hasConnected = true
      this.#entries = entries
      this.#outcomes = new Map()
      const files = entries.filter(({ kind }) => kind === "file")
      this.#fileCount = files.length
      this.#filesDone = 0
      this.#totalBytes = files.reduce((sum, { size }) => sum + size, 0)
      this.#transferredBytes = 0
      this.#reusedBytes = 0
      const planned = Event.TransferPlanned({
        files: files.length,
        folders: entries.filter(({ kind }) => kind === "folder").length,
        links: entries.filter(({ kind }) => kind === "link").length,
        bytes: this.#totalBytes
      })
      return Effect.zipRight(this.#emitOnce("planned", planned), this.#listTopLevel(entries))
    })
  }

  /** Lists the names that the server chose, before any is stored, if everything was requested. */
  #listTopLevel(entries: ReadonlyArray<Entry>): Effect.Effect<void> {
    if (!this.#requested.includes("")) return Effect.void
    const names = entries
      .filter(({ path }) => path.depth === 1)
      .map(({ path, kind }) => (kind === "folder" ? `${path.name}/` : path.name))
    return this.#emitOnce(
      "listing",
      Event.ListingReceived({
        names: names.slice(0, limits.namesShown),
        more: Math.max(0, names.length - limits.namesShown)
      })
    )
  }

  #emitOnce(key: string, event: Event): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#emitted.has(key)) return Effect.void
      this.#emitted.add(key)
      return this.#emit(event)
    })
  }

  #plan(index: number, what: string, as?: string): Effect.Effect<void> {
    return Effect.sync(
      () => void this.#planned.set(index, as === undefined ? { what } : { what, as })
    )
  }

  #complete(index: number, outcome: Outcome, as?: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      const entry = this.#entries[index]
      this.#outcomes.set(index, outcome)
      if (entry === undefined) return Effect.void
      if (entry.kind === "file") this.#filesDone++
      this.#currentIndex = index
      // The retry or the last line reports it.
      if (outcome === "busy") return Effect.void
      if (outcomes[outcome].isFailure) return this.#warn(entry.path.text, outcome)
      // Making an event for each of a hundred thousand files costs more than sending them.
      if (!this.#json && as === undefined) return Effect.void
      return entry.kind === "file"
        ? this.#emit(
            Event.FileCompleted({
              path: entry.path.text,
              bytes: entry.size,
              outcome,
              ...(as === undefined ? {} : { as })
            })
          )
        : Effect.void
    })
  }

  /** Reports something that a push does not send. */
  leftOut(leftOut: LeftOut): Effect.Effect<void> {
    return this.#omit(this.#notSent, leftOut)
  }

  #omit(omissions: Array<Omission>, { reason, path }: LeftOut): Effect.Effect<void> {
    return Effect.suspend(() => {
      const isRequested = this.#requested.includes(path)
      const outcome = isRequested && reason === "missing" ? "none" : reason
      omissions.push({ path, outcome })
      return this.#warn(path, outcome)
    })
  }

  /** Warns once of each omission. Several may look the same: the path is what is shown of it. */
  #warn(path: string, outcome: Outcome): Effect.Effect<void> {
    return Effect.suspend(() => {
      const key = `${outcome} ${path}`
      const now = (this.#warnedNow.get(key) ?? 0) + 1
      this.#warnedNow.set(key, now)
      if (now <= (this.#warned.get(key) ?? 0)) return Effect.void
      if (this.#omissionLines++ >= limits.omissionLines && !this.#json) return Effect.void
      this.#warned.set(key, now)
      return this.#emit(Event.EntryOmitted({ path, outcome }))
    })
  }

  /** Reports the end; fails with TransferIncomplete if something did not arrive. */
  conclude(verb: "pushed" | "pulled", address: string): Effect.Effect<void, TransferIncomplete> {
    return Effect.gen(this, function* () {
      yield* this.#emitPlanned
      const more = this.#omissionLines - limits.omissionLines
      if (more > 0 && !this.#json)
        yield* Effect.logWarning(`and ${more.toLocaleString("en-US")} more like these`)
      if (!this.#dry) yield* this.#emit(Event.TransferEnded({ verb, address, ...this.#totals }))
      // The last session decides: what failed in an earlier one may have succeeded since.
      const ended = [...this.#outcomes].map(([index, outcome]) => {
        const { path, kind = "file" } = this.#entries[index] ?? {}
        return { path: path?.text ?? "", outcome, kind }
      })
      const missing = (yield* this.#missing).map((each) => ({ ...each, kind: "file" as const }))
      const failures = [...ended.filter(({ outcome }) => outcomes[outcome].isFailure), ...missing]
      const [first] = failures
      if (first === undefined) return
      return yield* new TransferIncomplete({
        counts: (["file", "folder", "link"] as const)
          .map((kind) => ({
            kind,
            total: [...ended, ...missing].filter((each) => each.kind === kind).length,
            failed: failures.filter((each) => each.kind === kind).length
          }))
          .filter(({ failed }) => failed > 0),
        first: `${first.path}: ${outcomes[first.outcome].line}`,
        next: nextStepFor(failures.map(({ outcome }) => outcome)),
        dry: this.#dry
      })
    })
  }

  /**
   * Returns what was asked for and is not in the manifest. A path of LEFTOUT is for people: it says
   * why something is missing, and never that something is there.
   */
  get #missing(): Effect.Effect<ReadonlyArray<Omission>> {
    return Effect.gen(this, function* () {
      const omissions = [...this.#notSent, ...this.#leftOut]
      const inManifest = new Set(this.#entries.map(({ path }) => path.text))
      const names = new Set(this.#requested.filter((name) => name !== "" && !inManifest.has(name)))
      const requested: Array<Omission> = []
      for (const path of names) {
        const found = omissions.find((omission) => omission.path === path)
        // A server may omit a requested name without a LEFTOUT frame.
        if (found === undefined) yield* this.#warn(path, "none")
        requested.push(found ?? { path, outcome: "none" })
      }
      const others = omissions.filter(
        (omission) => outcomes[omission.outcome].isFailure && !requested.includes(omission)
      )
      return [...requested, ...others]
    })
  }

  get #emitPlanned(): Effect.Effect<void> {
    const inOrder = [...this.#planned].sort(([one], [other]) => one - other)
    return Effect.forEach(
      inOrder,
      ([index, action]) => {
        const { path, kind = "file", size = 0 } = this.#entries[index] ?? {}
        return this.#emit(
          Event.EntryPlanned({ ...action, path: path?.text ?? "", kind, bytes: size })
        )
      },
      { discard: true }
    )
  }

  get #totals(): Totals {
    const files = [...this.#outcomes].filter(([index]) => this.#entries[index]?.kind === "file")
    const count = (outcome: Outcome) => files.filter(([, each]) => each === outcome).length
    const stored = files.filter(([, outcome]) => outcome === "stored" || outcome === "renamed")
    return {
      files: stored.length,
      bytes: stored.reduce((sum, [index]) => sum + (this.#entries[index]?.size ?? 0), 0),
      transferredBytes: this.#transferredBytes,
      same: count("same"),
      skipped: count("skipped")
    }
  }

  /** Fails with TransferBusy if another session holds a partial file that is to be resumed. */
  readonly failIfBusy: Effect.Effect<void, TransferBusy> = Effect.suspend(() => {
    const [busy] = [...this.#outcomes].find(([, outcome]) => outcome === "busy") ?? []
    return busy === undefined || this.#dry
      ? Effect.void
      : new TransferBusy({ path: this.#entries[busy]?.path.text ?? "" })
  })

  /** The progress line of a terminal. */
  readonly progressLine = (): ProgressLine => {
    const done = this.#transferredBytes + this.#reusedBytes
    return {
      count: this.#transferredBytes,
      line: (perSecond) => {
        // The totals are known once the manifest is.
        if (!this.#hasConnected) return "waiting for the server"
        const total = this.#totalBytes
        const left = Math.max(0, total - done)
        const current = Math.min(this.#currentIndex + 1, this.#entries.length - 1)
        const path = this.#entries[current]?.path.text ?? ""
        const time = perSecond > 0 ? `, ${formatSeconds(left / perSecond)} left` : ""
        const percent = total === 0 ? 100 : Math.floor((100 * done) / total)
        const [filesDone, files] = [this.#filesDone, this.#fileCount].map((count) =>
          count.toLocaleString("en-US")
        )
        return (
          `${percent} %  ${filesDone}/${files} files  ` +
          `${formatBytes(done)} of ${formatBytes(total)}  ` +
          `${formatBytes(perSecond)}/s${time}  ${path.slice(-40)}`
        )
      }
    }
  }
}

const formatSeconds = (seconds: number): string => {
  const twoDigits = (value: number) => String(Math.floor(value)).padStart(2, "0")
  if (seconds < 60) return `${Math.ceil(seconds)} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)}:${twoDigits(seconds % 60)} min`
  return `${Math.floor(seconds / 3600)}:${twoDigits((seconds % 3600) / 60)} h`
}
