// What the receiver finds where an entry is to go, and so its answer: it makes folders and links, and proves what it has of a file.
// TRANSFER.md section 4.
import { readdirSync, readlinkSync, symlinkSync, unlinkSync, type Stats } from "node:fs"
import * as Effect from "effect/Effect"
import { compare, type Compared } from "./Compare.ts"
import { digestsOf } from "./Digest.ts"
import { attempt, Pieces } from "./Disk.ts"
import type { SafeDirectory, SafeDirectories } from "./SafeDirectory.ts"
import { limits } from "./limits.ts"
import { CreatedEntries } from "./CreatedEntries.ts"
import type { Entry } from "./Manifest.ts"
import * as PartialFile from "./PartialFile.ts"
import type { Progress } from "./Progress.ts"
import { diskFailed } from "./TransferErrors.ts"
import type { Answer, Policy } from "./Messages.ts"

/** How much a peer may still store. */
export interface Quota {
  /** What is at a path comes to cost so much, of which `there` is counted already; false where it does not fit. */
  readonly take: (path: string, cost: number, there: number) => boolean
  /** Something gets a name that nobody knows yet. */
  readonly add: (cost: number) => boolean
}

/** What a file of so many bytes counts for, or a folder or link with 0: none is free, because each needs a place in the file system. */
export const costOf = (bytes: number): number => bytes + limits.entryBytes

export interface DestinationCheckOptions {
  readonly folders: SafeDirectories
  /** What this peer's unfinished files are called by. */
  readonly tag: string
  readonly policy: Policy
  /** Nothing is changed: it is only said what would be. */
  readonly dry: boolean
  readonly quota?: Quota
  readonly progress: Progress
  readonly entries: ReadonlyArray<Entry>
  /** Entries whose names a file system may take for those of others. */
  readonly folded: ReadonlySet<number>
}

/** What was found, and is known of an entry until the sender has settled it. */
export interface Found extends Compared {
  readonly answer: Answer
  readonly part?: PartialFile.PartialFile
}

export class DestinationCheck {
  readonly #options: DestinationCheckOptions
  readonly made: CreatedEntries
  /** The unfinished file of the entry that is looked at now. */
  #held: PartialFile.PartialFile | undefined
  readonly #pieces = new Pieces()
  /** Unfinished files in folders that were looked at, by folder. */
  readonly #present = new Map<string, ReadonlyArray<string>>()

  constructor(options: DestinationCheckOptions) {
    this.#options = options
    this.made = new CreatedEntries(options.folders, options.entries)
  }

  abandon(): void {
    this.#held?.leave()
  }

  /** Whoever asked has what was found. */
  taken(): void {
    this.#held = undefined
  }

  /** What happens to a file whose name is taken by then. Names that a file system may take for one do not overwrite each other. */
  policyOf(index: number): Policy {
    const { policy, folded } = this.#options
    return policy === "overwrite" && folded.has(index) ? "refuse" : policy
  }

  /** Where an entry goes. Throws when its folder is not there any more. */
  place(index: number): { readonly folder: SafeDirectory; readonly name: string } {
    const names = (this.#options.entries[index] as Entry).path.split("/")
    return { folder: this.#options.folders.get(names.slice(0, -1)), name: names.at(-1) as string }
  }

  /** The answer for one entry. A disk that refuses is an answer too. */
  at(index: number): Effect.Effect<Found> {
    const entry = this.#options.entries[index] as Entry
    const look =
      entry.kind === "file" ? this.#file(index, entry) : attempt(() => this.#other(index, entry))
    return Effect.catchAll(look, (cause) =>
      Effect.as(this.#options.progress.trouble(diskFailed(entry.path)(cause)), {
        answer: codes.get(cause.code ?? "") ?? ("failed" as const),
        digests: []
      })
    )
  }

  #other(index: number, entry: Entry): Found {
    return {
      answer: entry.kind === "folder" ? this.#folder(index, entry) : this.#link(index, entry),
      digests: []
    }
  }

  #folder(index: number, { path, mode }: Entry): Answer {
    const { folders, dry } = this.#options
    const names = path.split("/")
    const there = this.#dryLook(index)
    if (dry) return there === undefined || there.isDirectory() ? "made" : "exists"
    if (!this.#fits(index, there)) return "quota"
    this.made.add(index, folders.make(names, mode | 0o700))
    return "made"
  }

  /** In a trial run the folder may be one that would have been made. */
  #dryLook(index: number, as = (name: string): string => name): Stats | undefined {
    try {
      const { folder, name } = this.place(index)
      return PartialFile.look(folder, as(name))
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined
      throw cause
    }
  }

  #link(index: number, { target = "" }: Entry): Answer {
    const { dry, policy } = this.#options
    const there = this.#dryLook(index)
    if (there === undefined) {
      if (!this.#fits(index, undefined)) return "quota"
      if (!dry) {
        const { folder, name } = this.place(index)
        symlinkSync(target, folder.at(name))
        this.made.add(index)
      }
      return "made"
    }
    const { folder, name } = this.place(index)
    const same = there.isSymbolicLink() && readlinkSync(folder.at(name)) === target
    if (!same && policy === "skip") return "skipped"
    if (!same && (policy !== "overwrite" || there.isDirectory() || this.#options.folded.has(index)))
      return "exists"
    if (dry) return "made"
    if (!same) {
      unlinkSync(folder.at(name))
      symlinkSync(target, folder.at(name))
    }
    this.made.add(index)
    return "made"
  }

  #file(index: number, entry: Entry): Effect.Effect<Found, NodeJS.ErrnoException> {
    return Effect.gen(this, function* () {
      const { dry, tag } = this.#options
      const policy = this.policyOf(index)
      const there = yield* attempt(() => this.#dryLook(index))
      if (there !== undefined && policy === "skip") return said("skipped")
      if (
        there !== undefined &&
        !there.isFile() &&
        !(there.isSymbolicLink() && policy === "overwrite") &&
        policy !== "rename"
      )
        return said("exists")
      if (there !== undefined && policy === "refuse" && there.size !== entry.size)
        return said("exists")
      if (dry && there === undefined) return said("want")
      // Before its folder is looked for: that may be one that did not fit.
      if (there === undefined && !this.#fits(index, there)) return said("quota")
      const { folder, name } = yield* attempt(() => this.place(index))
      if (!dry) this.#tidy(folder, name, entry)
      const compared =
        there === undefined ? undefined : yield* compare(folder, name, entry, policy, this.#pieces)
      if (compared !== undefined && policy === "refuse") return { answer: "differs", ...compared }
      // Only the sender knows whether what would get another name is there already.
      if (there !== undefined && !this.#fits(index, there))
        return compared === undefined ? said("quota") : { answer: "differs", ...compared }
      if (!PartialFile.isResumable(entry) || dry)
        return compared === undefined ? said("want") : { answer: "compare", ...compared }
      // It is held from the moment that it is locked, whatever interrupts what follows.
      const part = yield* PartialFile.resume(folder, name, tag, entry).pipe(
        Effect.tap((resumed) => Effect.sync(() => (this.#held = resumed))),
        Effect.uninterruptible
      )
      if (part === undefined) return said("busy")
      const blocks = yield* digestsOf(part.fd, part.length, entry.size, this.#pieces)
      if (blocks.length > 0) return { answer: "have", digests: blocks, part }
      return compared === undefined
        ? { answer: "want", digests: [], part }
        : { answer: "compare", ...compared, part }
    })
  }

  /** True where an entry has room within the quota, and then it is counted. What goes when it comes makes room for it. */
  #fits(index: number, there: Stats | undefined): boolean {
    const { quota, dry, tag, entries } = this.#options
    if (quota === undefined || dry) return true
    const entry = entries[index] as Entry
    const cost = costOf(entry.size)
    if (there !== undefined && entry.kind === "file" && this.policyOf(index) === "rename")
      return quota.add(cost)
    const begun =
      entry.kind === "file" && PartialFile.isResumable(entry)
        ? this.#dryLook(index, (name) => PartialFile.nameOf(name, tag, entry))
        : undefined
    const counted = [there, begun].reduce(
      (sum, one) => sum + (one === undefined ? 0 : costOf(one.isFile() ? one.size : 0)),
      0
    )
    return quota.take(entry.path, cost, counted)
  }

  #tidy(folder: SafeDirectory, name: string, entry: Entry): void {
    const { tag } = this.#options
    let present = this.#present.get(folder.path)
    if (present === undefined) {
      present = readdirSync(folder.itself).filter((each) => each.endsWith(".part"))
      this.#present.set(folder.path, present)
      PartialFile.tidy(folder, present, tag)
    }
    if (present.length > 0 && PartialFile.isResumable(entry))
      PartialFile.tidySources(folder, present, name, tag, entry)
  }
}

const said = (answer: Answer): Found => ({ answer, digests: [] })

/** What a fault of the disk says of an entry. */
const codes: ReadonlyMap<string, Answer> = new Map([
  ["EEXIST", "exists"],
  ["ENOTDIR", "exists"],
  ["ELOOP", "exists"]
])
