// What the receiver wants of a manifest: it looks at what is there, makes folders and links, proves what it has of a file, and says so in
// the manifest's order, never far ahead of what the sender has settled. TRANSFER.md section 4.
import {
  closeSync,
  fchmodSync,
  fstatSync,
  futimesSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  unlinkSync,
  type Stats
} from "node:fs"
import * as Effect from "effect/Effect"
import type { Channel } from "../../channel/Channel.ts"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import { blocksOf, ofPiece, Tree } from "./Digest.ts"
import { attempt, flush, Pieces, readAt } from "./Disk.ts"
import type { Folder, Folders } from "./Folder.ts"
import { frame, FrameType } from "./Frame.ts"
import { limits, protocolLimits } from "./limits.ts"
import type { Entry } from "./Manifest.ts"
import { News } from "./News.ts"
import * as Names from "./Names.ts"
import * as Part from "./Part.ts"
import type { Progress } from "./Progress.ts"
import { diskFailed } from "./TransferErrors.ts"
import * as Words from "./Words.ts"

/** How much a peer may still store. */
export interface Quota {
  /** What is at a path comes to cost so much, of which `there` is counted already; false where it does not fit. */
  readonly take: (path: string, cost: number, there: number) => boolean
  /** Something gets a name that nobody knows yet. */
  readonly add: (cost: number) => boolean
}

/** What a file of so many bytes counts for, or a folder or link with 0: none is free, because each needs a place in the file system. */
export const costOf = (bytes: number): number => bytes + limits.entryBytes

export interface PlanOptions {
  readonly channel: Channel
  readonly folders: Folders
  readonly tag: string
  readonly policy: Words.Policy
  readonly dry: boolean
  readonly quota?: Quota
  readonly progress: Progress
  readonly entries: ReadonlyArray<Entry>
  readonly folded: ReadonlySet<number>
}

/** What is known of an entry between its answer and its settling. */
interface Open {
  readonly answer: Words.Answer
  readonly digests: ReadonlyArray<Buffer>
  readonly part?: Part.Part
  /** The name of what is compared, where it is another than that of the entry. */
  readonly as?: string
}

/** A file that is there and may be the same. */
interface Compared {
  readonly digests: ReadonlyArray<Buffer>
  readonly as?: string
}

/** An entry that the sender has settled, with what was known of it. */
export interface Settled extends Open {
  readonly entry: Entry
}

/** Unfinished files that are kept open and locked, ahead of the sender. */
const openParts = 16

/** Frames with so many answers or digests at most. */
const answersPerFrame = 4096
const digestsPerFrame = 16_384

export class Plan {
  readonly #options: PlanOptions
  readonly #open = new Map<number, Open>()
  /** The unfinished file of the entry that is looked at now. */
  #looking: Part.Part | undefined
  #digests = 0
  #parts = 0
  /** Entries that have an answer, and the answers that have not gone out. */
  #answered = 0
  #unsaid: Array<Words.Answer> = []
  /** Folders that were made here, and links. */
  readonly #madeFolders = new Set<number>()
  readonly #made: Array<number> = []
  readonly #news = new News()
  readonly #pieces = new Pieces()
  /** Unfinished files in folders that were looked at, by folder. */
  readonly #present = new Map<string, ReadonlyArray<string>>()

  constructor(options: PlanOptions) {
    this.#options = options
  }

  abandon(): void {
    this.#looking?.leave()
    for (const { part } of this.#open.values()) part?.leave()
    this.#open.clear()
  }

  /** Every entry has its answer, and the sender has settled all that wanted it. */
  get isDone(): boolean {
    return this.#answered === this.#options.entries.length && this.#open.size === 0
  }

  /** What happens to a file whose name is taken by then. Names that a file system may take for one do not overwrite each other. */
  policyOf(index: number): Words.Policy {
    const { policy, folded } = this.#options
    return policy === "overwrite" && folded.has(index) ? "refuse" : policy
  }

  /** The sender has said what it does about an entry; undefined where nothing was asked of it. In the order of the manifest. */
  settle(index: number): Settled | undefined {
    const [first] = this.#open.keys()
    const open = this.#open.get(index)
    if (open === undefined || first !== index) return undefined
    this.#open.delete(index)
    this.#digests -= open.digests.length
    if (open.part !== undefined) this.#parts--
    this.#news.tell()
    return { entry: this.#options.entries[index] as Entry, ...open }
  }

  /** Where an entry goes. Throws when its folder is not there any more. */
  place(index: number): { readonly folder: Folder; readonly name: string } {
    const names = (this.#options.entries[index] as Entry).path.split("/")
    return { folder: this.#options.folders.get(names.slice(0, -1)), name: names.at(-1) as string }
  }

  readonly run: Effect.Effect<void, ChannelError> = Effect.gen(this, function* () {
    const { entries } = this.#options
    for (const [index, entry] of entries.entries()) {
      while (this.#isFar) {
        yield* this.#say
        yield* Effect.suspend(() => (this.#isFar ? this.#news.next : Effect.void))
      }
      const open = yield* this.#look(index, entry)
      this.#looking = undefined
      if (Words.wantsMore(open.answer)) {
        this.#open.set(index, open)
        this.#digests += open.digests.length
        if (open.part !== undefined) this.#parts++
      } else yield* this.#options.progress.answered(index, open.answer)
      if (open.digests.length > 0) {
        yield* this.#say
        yield* this.#sayDigests(open.digests)
      }
      this.#unsaid.push(open.answer)
      this.#answered++
      if (this.#unsaid.length >= answersPerFrame) yield* this.#say
      else if (index % limits.turnEntries === limits.turnEntries - 1) yield* Effect.zipRight(this.#say, turn)
    }
    yield* this.#say
  })

  get #isFar(): boolean {
    return (
      this.#open.size >= protocolLimits.answersAhead || this.#digests >= protocolLimits.digestsAhead || this.#parts >= openParts
    )
  }

  get #say(): Effect.Effect<void, ChannelError> {
    return Effect.suspend(() => {
      const said = this.#unsaid
      this.#unsaid = []
      if (said.length === 0) return Effect.void
      return this.#options.channel.write(frame(FrameType.Answers, Words.encodeAnswers(said)))
    })
  }

  #sayDigests(digests: ReadonlyArray<Buffer>): Effect.Effect<void, ChannelError> {
    const parts: Array<ReadonlyArray<Buffer>> = []
    for (let at = 0; at < digests.length; at += digestsPerFrame) parts.push(digests.slice(at, at + digestsPerFrame))
    return Effect.forEach(parts, (some) => this.#options.channel.write(frame(FrameType.Digests, ...some)), { discard: true })
  }

  /** The answer for one entry. A disk that refuses is an answer too. */
  #look(index: number, entry: Entry): Effect.Effect<Open> {
    const look = entry.kind === "file" ? this.#file(index, entry) : attempt(() => this.#other(index, entry))
    return Effect.catchAll(look, (cause) =>
      Effect.as(this.#options.progress.trouble(diskFailed(entry.path)(cause)), {
        answer: codes.get(cause.code ?? "") ?? ("failed" as const),
        digests: []
      })
    )
  }

  #other(index: number, entry: Entry): Open {
    return { answer: entry.kind === "folder" ? this.#folder(index, entry) : this.#link(index, entry), digests: [] }
  }

  #folder(index: number, { path, mode }: Entry): Words.Answer {
    const { folders, dry } = this.#options
    const names = path.split("/")
    const there = this.#dryLook(index)
    if (dry) return there === undefined || there.isDirectory() ? "made" : "exists"
    if (!this.#fits(index, there)) return "quota"
    if (folders.make(names, mode | 0o700)) this.#madeFolders.add(index)
    this.#made.push(index)
    return "made"
  }

  /** In a trial run the folder may be one that would have been made. */
  #dryLook(index: number, as = (name: string): string => name): Stats | undefined {
    try {
      const { folder, name } = this.place(index)
      return Part.look(folder, as(name))
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined
      throw cause
    }
  }

  #link(index: number, { target = "" }: Entry): Words.Answer {
    const { dry, policy } = this.#options
    const there = this.#dryLook(index)
    if (there === undefined) {
      if (!this.#fits(index, undefined)) return "quota"
      if (!dry) {
        const { folder, name } = this.place(index)
        symlinkSync(target, folder.at(name))
        this.#made.push(index)
      }
      return "made"
    }
    const { folder, name } = this.place(index)
    const same = there.isSymbolicLink() && readlinkSync(folder.at(name)) === target
    if (!same && policy === "skip") return "skipped"
    if (!same && (policy !== "overwrite" || there.isDirectory() || this.#options.folded.has(index))) return "exists"
    if (dry) return "made"
    if (!same) {
      unlinkSync(folder.at(name))
      symlinkSync(target, folder.at(name))
    }
    this.#made.push(index)
    return "made"
  }

  #file(index: number, entry: Entry): Effect.Effect<Open, NodeJS.ErrnoException> {
    return Effect.gen(this, function* () {
      const { dry, tag } = this.#options
      const policy = this.policyOf(index)
      const there = yield* attempt(() => this.#dryLook(index))
      if (there !== undefined && policy === "skip") return said("skipped")
      if (there !== undefined && !there.isFile() && !(there.isSymbolicLink() && policy === "overwrite") && policy !== "rename")
        return said("exists")
      if (there !== undefined && policy === "refuse" && there.size !== entry.size) return said("exists")
      if (dry && there === undefined) return said("want")
      // Before its folder is looked for: that may be one that did not fit.
      if (there === undefined && !this.#fits(index, there)) return said("quota")
      const { folder, name } = yield* attempt(() => this.place(index))
      if (!dry) this.#tidy(folder, name, entry)
      const compared = there === undefined ? undefined : yield* this.#compare(folder, name, entry, policy)
      if (compared !== undefined && policy === "refuse") return { answer: "differs", ...compared }
      // Only the sender knows whether what would get another name is there already.
      if (there !== undefined && !this.#fits(index, there))
        return compared === undefined ? said("quota") : { answer: "differs", ...compared }
      if (!Part.isResumable(entry) || dry) return compared === undefined ? said("want") : { answer: "compare", ...compared }
      // It is held from the moment that it is locked, whatever interrupts what follows.
      const part = yield* Part.resume(folder, name, tag, entry).pipe(
        Effect.tap((resumed) => Effect.sync(() => (this.#looking = resumed))),
        Effect.uninterruptible
      )
      if (part === undefined) return said("busy")
      const blocks = yield* digestsOf(part.fd, part.length, entry.size, this.#pieces)
      if (blocks.length > 0) return { answer: "have", digests: blocks, part }
      return compared === undefined ? { answer: "want", digests: [], part } : { answer: "compare", ...compared, part }
    })
  }

  /** True where an entry has room within the quota, and then it is counted. What goes when it comes makes room for it. */
  #fits(index: number, there: Stats | undefined): boolean {
    const { quota, dry, tag, entries } = this.#options
    if (quota === undefined || dry) return true
    const entry = entries[index] as Entry
    const cost = costOf(entry.size)
    if (there !== undefined && entry.kind === "file" && this.policyOf(index) === "rename") return quota.add(cost)
    const begun =
      entry.kind === "file" && Part.isResumable(entry) ? this.#dryLook(index, (name) => Part.nameOf(name, tag, entry)) : undefined
    const counted = [there, begun].reduce((sum, one) => sum + (one === undefined ? 0 : costOf(one.isFile() ? one.size : 0)), 0)
    return quota.take(entry.path, cost, counted)
  }

  /** The digests of what is there already, when it may be the same; a file that was renamed before, too. */
  #compare(
    folder: Folder,
    name: string,
    entry: Entry,
    policy: Words.Policy
  ): Effect.Effect<Compared | undefined, NodeJS.ErrnoException> {
    return Effect.gen(this, function* () {
      const like = policy === "rename" ? likeliest(folder, name, entry) : name
      const stats = Part.look(folder, like)
      const fd = stats?.isFile() === true && stats.size === entry.size ? Part.openExisting(folder, like) : undefined
      if (fd === undefined) return undefined
      const digests = yield* Effect.ensuring(
        digestsOf(fd, entry.size, entry.size, this.#pieces),
        Effect.sync(() => closeSync(fd))
      )
      if (digests.length !== blocksOf(entry.size)) return undefined
      return like === name ? { digests } : { digests, as: like }
    })
  }

  #tidy(folder: Folder, name: string, entry: Entry): void {
    const { tag } = this.#options
    let present = this.#present.get(folder.path)
    if (present === undefined) {
      present = readdirSync(folder.itself).filter((each) => each.endsWith(".part"))
      this.#present.set(folder.path, present)
      Part.tidy(folder, present, tag)
    }
    if (present.length > 0 && Part.isResumable(entry)) Part.tidySources(folder, present, name, tag, entry)
  }

  /** Folders, the innermost first. */
  folders(): ReadonlyArray<number> {
    return this.#made.filter((index) => this.#options.entries[index]?.kind === "folder").reverse()
  }

  /** Mode and time of a folder, which the files in it would have changed. One that was there keeps its mode. */
  readonly dress = (index: number): void => {
    const { path, mode, mtime } = this.#options.entries[index] as Entry
    const isOurs = this.#madeFolders.has(index)
    const { fd } = this.#options.folders.get(path.split("/"))
    try {
      if (isOurs && (fstatSync(fd).mode & 0o777) !== mode) fchmodSync(fd, mode)
      futimesSync(fd, Part.timeOf(mtime), Part.timeOf(mtime))
    } catch (cause) {
      // One that was there may be another user's: what is in it has arrived.
      if (isOurs) throw cause
    }
  }

  /** Folders and links are on the disk. */
  get flush(): Effect.Effect<void, NodeJS.ErrnoException> {
    return Effect.suspend(() => {
      const { folders, entries } = this.#options
      const around = new Set<string>(this.#made.map((index) => (entries[index] as Entry).path.split("/").slice(0, -1).join("/")))
      for (const index of this.folders()) around.add((entries[index] as Entry).path)
      return Effect.forEach(
        around,
        (path) => Effect.suspend(() => flush([], [folders.get(path === "" ? [] : path.split("/"))])),
        { discard: true }
      )
    })
  }

  made(): ReadonlyArray<Words.Receipt> {
    return this.#made.map((index) => ({ index, outcome: "stored" as const }))
  }
}

/** Beside a file one that was renamed, with the size and time of what comes: that was sent before. Else the file itself. */
const likeliest = (folder: Folder, name: string, { size, mtime }: Entry): string => {
  for (let count = 1; count <= limits.renames; count++) {
    const other = Names.renamed(name, count)
    const stats = Part.look(folder, other)
    if (stats === undefined) break
    if (stats.isFile() && stats.size === size && Part.mtimeOf(folder, other) === mtime) return other
  }
  return name
}

const said = (answer: Words.Answer): Open => ({ answer, digests: [] })

/** What a fault of the disk says of an entry. */
const codes: ReadonlyMap<string, Words.Answer> = new Map([
  ["EEXIST", "exists"],
  ["ENOTDIR", "exists"],
  ["ELOOP", "exists"]
])

const turn = Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))

/** Of the whole blocks of the first `length` bytes, and of the last one where the file is all there. */
export const digestsOf = (
  fd: number,
  length: number,
  size: number,
  pieces: Pieces
): Effect.Effect<ReadonlyArray<Buffer>, NodeJS.ErrnoException> =>
  Effect.gen(function* () {
    const end = length >= size ? size : length - (length % protocolLimits.blockBytes)
    const tree = new Tree()
    for (let at = 0; at < end;) {
      const piece = yield* readAt(fd, pieces.next().subarray(0, Math.min(protocolLimits.pieceBytes, end - at)), at)
      if (piece.length === 0) return []
      const digest = ofPiece(piece)
      tree.push(digest instanceof Promise ? yield* Effect.promise(() => digest) : digest)
      at += piece.length
    }
    return tree.blocks()
  })
