// Checks the destination of each entry: makes folders and links, digests what exists of a file, and
// so determines the receiver's answer. TRANSFER.md section 4.
import { readdirSync, readlinkSync, symlinkSync, unlinkSync, type Stats } from "node:fs"
import * as Effect from "effect/Effect"
import { compareExisting, type ExistingCopy } from "./Compare.ts"
import { CreatedEntries } from "./CreatedEntries.ts"
import { blockDigests } from "./Digest.ts"
import { attempt, PieceBuffers } from "./Disk.ts"
import { limits } from "./limits.ts"
import type { Entry } from "./Manifest.ts"
import type { Answer, Policy } from "./Messages.ts"
import * as Utf8 from "../../bytes/Utf8.ts"
import * as PartialFile from "./PartialFile.ts"
import type { SafeDirectory, SafeDirectories } from "./SafeDirectory.ts"
import { diskFailed } from "./TransferErrors.ts"
import type { TransferProgress } from "./TransferProgress.ts"

/** The storage that a peer may still use. */
export interface Quota {
  /**
   * Reserves `cost` for a path, of which `counted` is in the total already. False if it does not
   * fit; then nothing is reserved.
   */
  readonly reserve: (path: string, cost: number, counted: number) => boolean
  /** Reserves `cost` for a file whose final name is not known yet. */
  readonly add: (cost: number) => boolean
}

/** Returns the quota cost of an entry: its bytes, and a fixed cost for its directory entry. */
export const costOf = (bytes: number): number => bytes + limits.entryBytes

export interface DestinationCheckOptions {
  readonly directories: SafeDirectories
  /** Tag in the names of this peer's partial files. */
  readonly tag: string
  readonly policy: Policy
  /** Determines the answers only; nothing is changed. */
  readonly dry: boolean
  readonly quota?: Quota
  readonly progress: TransferProgress
  readonly entries: ReadonlyArray<Entry>
  /** Entries whose path a file system may treat as that of another entry. */
  readonly collisions: ReadonlySet<number>
}

/** The answer for an entry, with the state that is kept until the sender has acted on it. */
export interface CheckResult extends ExistingCopy {
  readonly answer: Answer
  readonly partial?: PartialFile.PartialFile
}

/** The place where an entry is stored. */
export interface Destination {
  readonly directory: SafeDirectory
  readonly name: string
}

export class DestinationCheck {
  readonly #options: DestinationCheckOptions
  readonly created: CreatedEntries
  /** Partial file of the entry being checked, until the caller has the result. */
  #held: PartialFile.PartialFile | undefined
  readonly #buffers = new PieceBuffers()
  /** Names of the partial files in each folder that was checked, by its path. */
  readonly #partialNames = new Map<string, ReadonlyArray<string>>()

  constructor(options: DestinationCheckOptions) {
    this.#options = options
    this.created = new CreatedEntries(options.directories, options.entries)
  }

  /** Ends an interrupted check. */
  abandon(): void {
    this.#held?.keepOrDiscard()
  }

  /** The caller is now responsible for the last result. */
  handOver(): void {
    this.#held = undefined
  }

  /** Returns the policy for a file whose name is taken: entries never overwrite each other. */
  policyFor(index: number): Policy {
    const { policy, collisions } = this.#options
    return policy === "overwrite" && collisions.has(index) ? "refuse" : policy
  }

  /** Returns the destination of an entry; throws if its folder no longer exists. */
  destinationOf(index: number): Destination {
    const { path } = this.#options.entries[index] as Entry
    return { directory: this.#options.directories.get(path.parent), name: path.name }
  }

  /** Determines the answer for one entry. A failure of the disk is an answer too. */
  check(index: number): Effect.Effect<CheckResult> {
    const entry = this.#options.entries[index] as Entry
    const result =
      entry.kind === "file"
        ? this.#checkFile(index, entry)
        : attempt(() =>
            answerOnly(
              entry.kind === "folder"
                ? this.#makeFolder(index, entry)
                : this.#makeLink(index, entry)
            )
          )
    return Effect.catchAll(result, (cause) =>
      Effect.as(
        this.#options.progress.diskFailed(diskFailed(entry.path.text)(cause)),
        answerOnly(answerOf.get(cause.code ?? "") ?? "failed")
      )
    )
  }

  #makeFolder(index: number, { path, mode }: Entry): Answer {
    const { directories, dry } = this.#options
    const existing = this.#existing(index)
    if (dry) return existing === undefined || existing.isDirectory() ? "made" : "exists"
    if (!this.#fits(index, existing)) return "quota"
    this.created.add(index, directories.ensure(path, mode | 0o700))
    return "made"
  }

  /** Returns the status of an existing entry. In a dry run its folder may not exist either. */
  #existing(index: number, nameOf = (name: string): string => name): Stats | undefined {
    try {
      const { directory, name } = this.destinationOf(index)
      return PartialFile.lstatIfExists(directory, nameOf(name))
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined
      throw cause
    }
  }

  #makeLink(index: number, { target = "" }: Entry): Answer {
    const { dry, policy, collisions } = this.#options
    const existing = this.#existing(index)
    if (existing === undefined) {
      if (!this.#fits(index, undefined)) return "quota"
      if (!dry) {
        const { directory, name } = this.destinationOf(index)
        symlinkSync(target, directory.pathOf(name))
        this.created.add(index)
      }
      return "made"
    }
    const { directory, name } = this.destinationOf(index)
    const isSame =
      existing.isSymbolicLink() &&
      Buffer.from(target).equals(readlinkSync(directory.pathOf(name), "buffer"))
    if (!isSame && policy === "skip") return "skipped"
    if (!isSame && (policy !== "overwrite" || existing.isDirectory() || collisions.has(index)))
      return "exists"
    if (dry) return "made"
    if (!isSame) {
      unlinkSync(directory.pathOf(name))
      symlinkSync(target, directory.pathOf(name))
    }
    this.created.add(index)
    return "made"
  }

  #checkFile(index: number, entry: Entry): Effect.Effect<CheckResult, NodeJS.ErrnoException> {
    return Effect.gen(this, function* () {
      const { dry } = this.#options
      const policy = this.policyFor(index)
      const existing = yield* attempt(() => this.#existing(index))
      if (existing !== undefined) {
        if (policy === "skip") return answerOnly("skipped")
        if (!isReplaceable(existing, policy)) return answerOnly("exists")
        if (policy === "refuse" && existing.size !== entry.size) return answerOnly("exists")
      } else {
        if (dry) return answerOnly("want")
        // Before the folder is opened, which may not exist because it did not fit itself.
        if (!this.#fits(index, existing)) return answerOnly("quota")
      }
      const { directory, name } = yield* attempt(() => this.destinationOf(index))
      if (!dry) yield* this.#removeStale(directory, name, entry)
      const copy =
        existing === undefined
          ? undefined
          : yield* compareExisting(directory, name, entry, policy, this.#buffers)
      if (copy !== undefined && policy === "refuse") return { answer: "differs", ...copy }
      // A numbered copy may be there already, which only the sender can tell.
      if (existing !== undefined && !this.#fits(index, existing))
        return copy === undefined ? answerOnly("quota") : { answer: "differs", ...copy }
      const answered: CheckResult =
        copy === undefined ? answerOnly("want") : { answer: "compare", ...copy }
      return PartialFile.isResumable(entry) && !dry
        ? yield* this.#resume(directory, name, entry, answered)
        : answered
    })
  }

  /** Offers the blocks of a partial file, or the other answer if it has none. */
  #resume(
    directory: SafeDirectory,
    name: string,
    entry: Entry,
    otherwise: CheckResult
  ): Effect.Effect<CheckResult, NodeJS.ErrnoException> {
    return Effect.gen(this, function* () {
      // Interruption between locking and holding the file would leave it locked.
      const partial = yield* PartialFile.openResumable(
        directory,
        name,
        this.#options.tag,
        entry
      ).pipe(
        Effect.tap((opened) => Effect.sync(() => (this.#held = opened))),
        Effect.uninterruptible
      )
      if (partial === undefined) return answerOnly("busy")
      const digests = yield* blockDigests(partial.fd, partial.length, entry.size, this.#buffers)
      return digests.length > 0 ? { answer: "have", digests, partial } : { ...otherwise, partial }
    })
  }

  /** Reserves quota for an entry, less the cost of what it replaces; false if it does not fit. */
  #fits(index: number, existing: Stats | undefined): boolean {
    const { quota, dry, tag, entries } = this.#options
    if (quota === undefined || dry) return true
    const entry = entries[index] as Entry
    const cost = costOf(entry.size)
    if (existing !== undefined && entry.kind === "file" && this.policyFor(index) === "rename")
      return quota.add(cost)
    const partial =
      entry.kind === "file" && PartialFile.isResumable(entry)
        ? this.#existing(index, (name) => PartialFile.resumableName(name, tag, entry))
        : undefined
    const counted = [existing, partial].reduce(
      (sum, stats) => sum + (stats === undefined ? 0 : costOf(stats.isFile() ? stats.size : 0)),
      0
    )
    return quota.reserve(entry.path.text, cost, counted)
  }

  /** Removes partial files that nobody can resume. */
  #removeStale(
    directory: SafeDirectory,
    name: string,
    entry: Entry
  ): Effect.Effect<void, NodeJS.ErrnoException> {
    return Effect.gen(this, function* () {
      const { tag } = this.#options
      let names = this.#partialNames.get(directory.path)
      if (names === undefined) {
        // A name that is not UTF-8 is not that of a partial file: those are made of valid names.
        names = readdirSync(directory.listingPath, "buffer").flatMap((bytes) => {
          const each = Utf8.decode(bytes)
          return each?.endsWith(".part") ? [each] : []
        })
        this.#partialNames.set(directory.path, names)
        yield* PartialFile.removeLeftovers(directory, names, tag)
      }
      if (names.length > 0 && PartialFile.isResumable(entry))
        yield* PartialFile.removeOtherVersions(directory, names, name, tag, entry)
    })
  }
}

/** True if a file may take the place of what exists, or gets another name. */
const isReplaceable = (existing: Stats, policy: Policy): boolean =>
  existing.isFile() || policy === "rename" || (existing.isSymbolicLink() && policy === "overwrite")

const answerOnly = (answer: Answer): CheckResult => ({ answer, digests: [] })

/** Codes of the system that mean something other than a failure of the disk. */
const answerOf: ReadonlyMap<string, Answer> = new Map([
  ["EEXIST", "exists"],
  ["ENOTDIR", "exists"],
  ["ELOOP", "exists"]
])
