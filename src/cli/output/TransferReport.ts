// What a person sees of a transfer: what is told of it becomes events, totals, and the line that says how far it is.
import * as Effect from "effect/Effect"
import type { Entry } from "../../services/transfer/Manifest.ts"
import type { TransferProgress as Watched } from "../../services/transfer/TransferProgress.ts"
import { TransferBusy, TransferIncomplete } from "../../services/transfer/TransferErrors.ts"
import type { Answer, LeftOut } from "../../services/transfer/Messages.ts"
import type { ProgressLine } from "./ProgressLine.ts"
import { Event } from "./events/index.ts"
import { formatBytes } from "./events/phrases.ts"
import { outcomes, nextStepFor, type Outcome, type Totals } from "./events/transferEvents.ts"

export const limits = {
  /** Lines about what did not arrive; the rest is counted. */
  linesLeft: 20,
  /** Names that a line lists. */
  namesShown: 20
} as const

/** The receiver's last words as what becomes of an entry. */
const fateOf = (answer: Answer): Outcome => (answer in outcomes ? (answer as Outcome) : "failed")

interface Options {
  readonly dry: boolean
  readonly json: boolean
  /** What was asked for by name: the names it is to have here, and "" for everything. Each comes, or the command fails. */
  readonly asked?: ReadonlyArray<string>
}

export class TransferReport {
  readonly #tell: (event: Event) => Effect.Effect<void>
  readonly #dry: boolean
  readonly #json: boolean
  readonly #asked: ReadonlyArray<string>
  #entries: ReadonlyArray<Entry> = []
  /** Where each entry is at its end, in this session. */
  #fates = new Map<number, Outcome>()
  #bytes = 0
  #came = 0
  #kept = 0
  #files = 0
  #filesDone = 0
  #current = 0
  /** Bytes that travelled, and receipts, in all sessions together. */
  #everCame = 0
  #stored = 0
  #stood = false
  #linesSaid = 0
  /** What is told once, however many sessions see it. */
  readonly #told = new Set<string>()

  constructor(tell: (event: Event) => Effect.Effect<void>, { dry, json, asked = [] }: Options) {
    this.#tell = tell
    this.#dry = dry
    this.#json = json
    this.#asked = asked
  }

  /** Grows with whatever gets through. */
  readonly progress = (): number => this.#everCame + this.#stored

  readonly hasConnected = (): boolean => this.#stood

  /** What the two sides' engines tell. */
  readonly observer: Watched = {
    planned: (entries) => {
      this.#stood = true
      this.#entries = entries
      this.#fates = new Map()
      const files = entries.filter(({ kind }) => kind === "file")
      this.#files = files.length
      this.#filesDone = 0
      this.#bytes = files.reduce((sum, { size }) => sum + size, 0)
      this.#came = 0
      this.#kept = 0
      const planned = Event.TransferPlanned({
        files: files.length,
        folders: entries.filter(({ kind }) => kind === "folder").length,
        links: entries.filter(({ kind }) => kind === "link").length,
        bytes: this.#bytes
      })
      return Effect.zipRight(this.#once("planned", planned), this.#everything(entries))
    },
    leftOut: (leftOut) => this.leftOut(leftOut),
    answered: (index, answer) =>
      Effect.suspend(() => {
        if (answer === "made") return this.#dry ? this.#would(index, "make") : Effect.void
        this.#kept += this.#sizeOf(index)
        return this.#dry ? this.#would(index, answer) : this.#done(index, fateOf(answer))
      }),
    transferred: (bytes) => {
      this.#came += bytes
      this.#everCame += bytes
    },
    reused: (bytes) => {
      this.#kept += bytes
    },
    skipped: (index, why) =>
      Effect.suspend(() => {
        if (this.#dry)
          return this.#would(index, why === "dry" ? "send" : why === "other" ? "exists" : why)
        // Its receipt follows, and does not say why.
        this.#fates.set(index, why === "other" ? "exists" : why === "dry" ? "failed" : why)
        return Effect.void
      }),
    confirmed: (receipts) =>
      Effect.forEach(
        receipts,
        ({ index, outcome, path }) => {
          this.#stored++
          if (this.#dry) return this.#would(index, "same", path)
          if (outcome === "same as") return this.#done(index, "same", path)
          const fate = outcome === "left" ? (this.#fates.get(index) ?? "failed") : outcome
          return this.#done(index, fate, path)
        },
        { discard: true }
      ),
    diskFailed: (failed) => this.#once(failed.message, Event.DiskFailed({ text: failed.message }))
  }

  #sizeOf(index: number): number {
    return this.#entries[index]?.size ?? 0
  }

  /** Whoever asks for everything leaves it to the other side which names come: they are said before anything does. */
  #everything(entries: ReadonlyArray<Entry>): Effect.Effect<void> {
    if (!this.#asked.includes("")) return Effect.void
    const top = entries
      .filter(({ path }) => !path.includes("/"))
      .map(({ path, kind }) => (kind === "folder" ? `${path}/` : path))
    return this.#once(
      "everything",
      Event.ListingReceived({
        names: top.slice(0, limits.namesShown),
        more: Math.max(0, top.length - limits.namesShown)
      })
    )
  }

  #once(key: string, event: Event): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#told.has(key)) return Effect.void
      this.#told.add(key)
      return this.#tell(event)
    })
  }

  /** Of a trial run: told at the end, in order. */
  readonly #wouldBe = new Map<number, { readonly what: string; readonly as?: string }>()

  #would(index: number, what: string, as?: string): Effect.Effect<void> {
    return Effect.sync(
      () => void this.#wouldBe.set(index, as === undefined ? { what } : { what, as })
    )
  }

  #done(index: number, fate: Outcome, as?: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      const entry = this.#entries[index]
      this.#fates.set(index, fate)
      if (entry === undefined) return Effect.void
      if (entry.kind === "file") this.#filesDone++
      this.#current = index
      // Said by what is tried again, or by the end.
      if (fate === "busy") return Effect.void
      if (outcomes[fate].left) return this.#left(entry.path, fate)
      // Building an event for each of a hundred thousand files costs more than sending them.
      if (!this.#json && as === undefined) return Effect.void
      return entry.kind === "file"
        ? this.#tell(
            Event.FileCompleted({
              path: entry.path,
              bytes: entry.size,
              fate,
              ...(as === undefined ? {} : { as })
            })
          )
        : Effect.void
    })
  }

  readonly #leftPaths = new Map<string, Outcome>()

  leftOut({ reason, path }: LeftOut): Effect.Effect<void> {
    if (this.#asked.includes(path)) return this.#left(path, reason === "missing" ? "none" : reason)
    return outcomes[reason].left ? this.#left(path, reason) : this.#warn(path, reason)
  }

  #left(path: string, fate: Outcome): Effect.Effect<void> {
    this.#leftPaths.set(path, fate)
    return this.#warn(path, fate)
  }

  #warn(path: string, fate: Outcome): Effect.Effect<void> {
    return Effect.suspend(() => {
      const key = `${fate} ${path}`
      if (this.#told.has(key)) return Effect.void
      if (this.#linesSaid++ >= limits.linesLeft && !this.#json) return Effect.void
      this.#told.add(key)
      return this.#tell(Event.EntryOmitted({ path, fate }))
    })
  }

  /** What is said at the end; fails when something did not arrive. */
  conclude(verb: "pushed" | "pulled", address: string): Effect.Effect<void, TransferIncomplete> {
    return Effect.gen(this, function* () {
      for (const [index, would] of [...this.#wouldBe].sort(([one], [other]) => one - other)) {
        const { path = "", kind = "file", size = 0 } = this.#entries[index] ?? {}
        yield* this.#tell(Event.EntryPlanned({ ...would, path, kind, bytes: size }))
      }
      const more = this.#linesSaid - limits.linesLeft
      if (more > 0 && !this.#json)
        yield* Effect.logWarning(`and ${more.toLocaleString("en-US")} more like these`)
      const files = [...this.#fates].filter(([index]) => this.#entries[index]?.kind === "file")
      const count = (...wanted: ReadonlyArray<Outcome>) =>
        files.filter(([, fate]) => wanted.includes(fate)).length
      const totals: Totals = {
        files: count("stored", "renamed"),
        bytes: files
          .filter(([, fate]) => fate === "stored" || fate === "renamed")
          .reduce((sum, [index]) => sum + this.#sizeOf(index), 0),
        transferredBytes: this.#came,
        same: count("same"),
        skipped: count("skipped")
      }
      if (!this.#dry) yield* this.#tell(Event.TransferEnded({ verb, address, ...totals }))
      // What a session before could not say may have gone well since.
      const left = [...this.#fates].flatMap(([index, fate]) =>
        outcomes[fate].left ? [[this.#entries[index]?.path ?? "", fate] as const] : []
      )
      const listed = new Set(this.#entries.map(({ path }) => path))
      // The other side may leave something out without a word.
      for (const name of this.#asked)
        if (name !== "" && !listed.has(name) && !this.#leftPaths.has(name))
          yield* this.#left(name, "none")
      for (const [path, fate] of this.#leftPaths) if (!listed.has(path)) left.push([path, fate])
      const [first] = left
      if (first === undefined) return
      return yield* new TransferIncomplete({
        done:
          this.#fates.size -
          (left.length - [...this.#leftPaths.keys()].filter((path) => !listed.has(path)).length),
        left: left.length,
        first: `${first[0]}: ${outcomes[first[1]].line}`,
        next: nextStepFor(left.map(([, fate]) => fate)),
        dry: this.#dry
      })
    })
  }

  /** Fails where another session has what this one was to go on with. */
  readonly notBusy: Effect.Effect<void, TransferBusy> = Effect.suspend(() => {
    const [busy] = [...this.#fates].find(([, fate]) => fate === "busy") ?? []
    return busy === undefined || this.#dry
      ? Effect.void
      : new TransferBusy({ path: this.#entries[busy]?.path ?? "" })
  })

  /** For the line on a terminal. */
  readonly progressLine = (): ProgressLine => {
    const done = this.#came + this.#kept
    return {
      count: this.#came,
      line: (perSecond) => {
        const left = Math.max(0, this.#bytes - done)
        const { path = "" } =
          this.#entries[Math.min(this.#current + 1, this.#entries.length - 1)] ?? {}
        const time = perSecond > 0 ? `, ${timeOf(left / perSecond)} left` : ""
        const part = this.#bytes === 0 ? 100 : Math.floor((100 * done) / this.#bytes)
        return (
          `${part} %  ${this.#filesDone.toLocaleString("en-US")}/${this.#files.toLocaleString("en-US")} files  ` +
          `${formatBytes(done)} of ${formatBytes(this.#bytes)}  ${formatBytes(perSecond)}/s${time}  ${path.slice(-40)}`
        )
      }
    }
  }
}

const timeOf = (seconds: number): string => {
  if (seconds < 60) return `${Math.ceil(seconds)} s`
  if (seconds < 3600)
    return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")} min`
  return `${Math.floor(seconds / 3600)}:${String(Math.floor((seconds % 3600) / 60)).padStart(2, "0")} h`
}
