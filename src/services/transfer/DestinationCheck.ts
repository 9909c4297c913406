// What the receiver finds where an entry is to go, and so its answer: it makes folders and links, and proves what it has of a file.
// TRANSFER.md section 4.
import { readdirSync, readlinkSync, symlinkSync, unlinkSync, type Stats } from "node:fs"
import * as Effect from "effect/Effect"
import { compareExisting, type ExistingCopy } from "./Compare.ts"
import { blockDigests } from "./Digest.ts"
import { attempt, PieceBuffers } from "./Disk.ts"
import type { SafeDirectory, SafeDirectories } from "./SafeDirectory.ts"
import { limits } from "./limits.ts"
import { CreatedEntries } from "./CreatedEntries.ts"
import type { Entry } from "./Manifest.ts"
import * as PartialFile from "./PartialFile.ts"
import type { TransferProgress } from "./TransferProgress.ts"
import { diskFailed } from "./TransferErrors.ts"
import type { Answer, Policy } from "./Messages.ts"

/** How much a peer may still store. */
export interface Quota {
  /** What is at a path comes to cost so much, of which `there` is counted already; false where it does not fit. */
  readonly reserve: (path: string, cost: number, there: number) => boolean
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
  readonly progress: TransferProgress
  readonly entries: ReadonlyArray<Entry>
  /** Entries whose names a file system may take for those of others. */
  readonly folded: ReadonlySet<number>
}

/** What was found, and is known of an entry until the sender has settled it. */
export interface CheckResult extends ExistingCopy {
  readonly answer: Answer
  readonly partial?: PartialFile.PartialFile
}

export class DestinationCheck {
  readonly #options: DestinationCheckOptions
  readonly created: CreatedEntries
  /** The unfinished file of the entry that is looked at now. */
  #held: PartialFile.PartialFile | undefined
  readonly #pieces = new PieceBuffers()
  /** Unfinished files in folders that were looked at, by folder. */
  readonly #present = new Map<string, ReadonlyArray<string>>()

  constructor(options: DestinationCheckOptions) {
    this.#options = options
    this.created = new CreatedEntries(options.folders, options.entries)
  }

  abandon(): void {
    this.#held?.keepOrDiscard()
  }

  /** Whoever asked has what was found. */
  handOver(): void {
    this.#held = undefined
  }

  /** What happens to a file whose name is taken by then. Names that a file system may take for one do not overwrite each other. */
  policyFor(index: number): Policy {
    const { policy, folded } = this.#options
    return policy === "overwrite" && folded.has(index) ? "refuse" : policy
  }

  /** Where an entry goes. Throws when its folder is not there any more. */
  destinationOf(index: number): { readonly folder: SafeDirectory; readonly name: string } {
    const names = (this.#options.entries[index] as Entry).path.split("/")
    return { folder: this.#options.folders.get(names.slice(0, -1)), name: names.at(-1) as string }
  }

  /** The answer for one entry. A disk that refuses is an answer too. */
  check(index: number): Effect.Effect<CheckResult> {
    const entry = this.#options.entries[index] as Entry
    const look =
      entry.kind === "file" ? this.#file(index, entry) : attempt(() => this.#other(index, entry))
    return Effect.catchAll(look, (cause) =>
      Effect.as(this.#options.progress.diskFailed(diskFailed(entry.path)(cause)), {
        answer: codes.get(cause.code ?? "") ?? ("failed" as const),
        digests: []
      })
    )
  }

  #other(index: number, entry: Entry): CheckResult {
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
    this.created.add(index, folders.ensure(names, mode | 0o700))
    return "made"
  }

  /** In a trial run the folder may be one that would have been made. */
  #dryLook(index: number, as = (name: string): string => name): Stats | undefined {
    try {
      const { folder, name } = this.destinationOf(index)
      return PartialFile.lstatIfExists(folder, as(name))
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
        const { folder, name } = this.destinationOf(index)
        symlinkSync(target, folder.pathOf(name))
        this.created.add(index)
      }
      return "made"
    }
    const { folder, name } = this.destinationOf(index)
    const same = there.isSymbolicLink() && readlinkSync(folder.pathOf(name)) === target
    if (!same && policy === "skip") return "skipped"
    if (!same && (policy !== "overwrite" || there.isDirectory() || this.#options.folded.has(index)))
      return "exists"
    if (dry) return "made"
    if (!same) {
      unlinkSync(folder.pathOf(name))
      symlinkSync(target, folder.pathOf(name))
    }
    this.created.add(index)
    return "made"
  }

  #file(index: number, entry: Entry): Effect.Effect<CheckResult, NodeJS.ErrnoException> {
    return Effect.gen(this, function* () {
      const { dry, tag } = this.#options
      const policy = this.policyFor(index)
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
      const { folder, name } = yield* attempt(() => this.destinationOf(index))
      if (!dry) this.#tidy(folder, name, entry)
      const compared =
        there === undefined
          ? undefined
          : yield* compareExisting(folder, name, entry, policy, this.#pieces)
      if (compared !== undefined && policy === "refuse") return { answer: "differs", ...compared }
      // Only the sender knows whether what would get another name is there already.
      if (there !== undefined && !this.#fits(index, there))
        return compared === undefined ? said("quota") : { answer: "differs", ...compared }
      if (!PartialFile.isResumable(entry) || dry)
        return compared === undefined ? said("want") : { answer: "compare", ...compared }
      // It is held from the moment that it is locked, whatever interrupts what follows.
      const part = yield* PartialFile.openResumable(folder, name, tag, entry).pipe(
        Effect.tap((resumed) => Effect.sync(() => (this.#held = resumed))),
        Effect.uninterruptible
      )
      if (part === undefined) return said("busy")
      const blocks = yield* blockDigests(part.fd, part.length, entry.size, this.#pieces)
      if (blocks.length > 0) return { answer: "have", digests: blocks, partial: part }
      return compared === undefined
        ? { answer: "want", digests: [], partial: part }
        : { answer: "compare", ...compared, partial: part }
    })
  }

  /** True where an entry has room within the quota, and then it is counted. What goes when it comes makes room for it. */
  #fits(index: number, there: Stats | undefined): boolean {
    const { quota, dry, tag, entries } = this.#options
    if (quota === undefined || dry) return true
    const entry = entries[index] as Entry
    const cost = costOf(entry.size)
    if (there !== undefined && entry.kind === "file" && this.policyFor(index) === "rename")
      return quota.add(cost)
    const begun =
      entry.kind === "file" && PartialFile.isResumable(entry)
        ? this.#dryLook(index, (name) => PartialFile.resumableName(name, tag, entry))
        : undefined
    const counted = [there, begun].reduce(
      (sum, one) => sum + (one === undefined ? 0 : costOf(one.isFile() ? one.size : 0)),
      0
    )
    return quota.reserve(entry.path, cost, counted)
  }

  #tidy(folder: SafeDirectory, name: string, entry: Entry): void {
    const { tag } = this.#options
    let present = this.#present.get(folder.path)
    if (present === undefined) {
      present = readdirSync(folder.listingPath).filter((each) => each.endsWith(".part"))
      this.#present.set(folder.path, present)
      PartialFile.removeLeftovers(folder, present, tag)
    }
    if (present.length > 0 && PartialFile.isResumable(entry))
      PartialFile.removeOtherVersions(folder, present, name, tag, entry)
  }
}

const said = (answer: Answer): CheckResult => ({ answer, digests: [] })

/** What a fault of the disk says of an entry. */
const codes: ReadonlyMap<string, Answer> = new Map([
  ["EEXIST", "exists"],
  ["ENOTDIR", "exists"],
  ["ELOOP", "exists"]
])
