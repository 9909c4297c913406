// Checks the destination of each entry: makes folders and links, digests what exists of a file, and
// so determines the receiver's answer. TRANSFER.md section 4.
import { readlinkSync, symlinkSync, unlinkSync, type Stats } from "node:fs"
import * as Effect from "effect/Effect"
import { compareExisting, type ExistingCopy } from "./Compare.ts"
import { CreatedEntries } from "./CreatedEntries.ts"
import type { SessionMemory } from "../PeerBudgets.ts"
import { blockCount, blockDigests } from "./Digest.ts"
import { attempt, PieceBuffers, yieldTurn } from "./Disk.ts"
import { limits } from "./limits.ts"
import { forEachName } from "./Listing.ts"
import { LockWait } from "./LockWait.ts"
import type { Entry } from "./Manifest.ts"
import type { Answer, Policy } from "./Messages.ts"
import * as Names from "./Names.ts"
import * as PartialFile from "./PartialFile.ts"
import { holderOf, type Holder } from "./PartialFileLock.ts"
import { costOf, noCharge, type Charge, type Quota } from "./Quotas.ts"
import type { SafeDirectory, SafeDirectories } from "./SafeDirectory.ts"
import { Signal } from "./Signal.ts"

export interface DestinationCheckOptions {
  readonly directories: SafeDirectories
  /** Tag in the names of this peer's partial files. */
  readonly tag: string
  readonly policy: Policy
  /** Determines the answers only; nothing is changed. */
  readonly dry: boolean
  readonly quota?: Quota
  /** Memory of the session; default: no limit. */
  readonly memory?: Pick<SessionMemory, "reserve" | "release">
  /** Called when the disk fails; does not complete if that ends the session. */
  readonly reportFailure: (cause: unknown, path: string) => Effect.Effect<void>
  /** The session, as a newer one sees it that wants the same partial files. */
  readonly holder?: Holder
  readonly entries: ReadonlyArray<Entry>
  /** Entries whose path a file system may treat as that of another entry. */
  readonly collisions: ReadonlySet<number>
}

/** The answer for an entry, with the state that is kept until the sender has acted on it. */
export interface CheckResult extends ExistingCopy {
  readonly answer: Answer
  readonly partial?: PartialFile.PartialFile
  /** The reservation of a file that is wanted; its partial file has it too, once there is one. */
  readonly charge?: Charge
}

/** Returns the memory of the digests of an answer. */
export const digestMemory = (digests: number): number => digests * limits.digestMemory

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
  #heldCharge: Charge | undefined
  /** Charges of this session that are not settled. */
  #outstanding = 0
  readonly #settled = new Signal()
  /** Run before a check waits for the earlier files: their answers must have been sent. */
  beforeWaiting: Effect.Effect<void> = Effect.void
  /** Digests of the entry being checked for which memory is reserved. */
  #heldDigests = 0
  /** A piece is digested before the next one is read. */
  readonly #buffers = new PieceBuffers(1)
  /** Names of the partial files in each folder that was checked, by its path. */
  readonly #partialNames = new Map<string, ReadonlyArray<string>>()

  constructor(options: DestinationCheckOptions) {
    this.#options = options
    this.created = new CreatedEntries(options.directories, options.entries)
  }

  /** Ends an interrupted check. */
  abandon(): void {
    this.#held?.keepOrDiscard()
    this.#heldCharge?.cancel()
    this.handOver()
  }

  /** The caller is now responsible for the last result. */
  handOver(): void {
    this.#held = undefined
    this.#heldCharge = undefined
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
        : Effect.map(
            entry.kind === "folder"
              ? attempt(() => this.#makeFolder(index, entry))
              : Effect.retry(
                  attempt(() => this.#makeLink(index, entry)),
                  { while: isTaken, times: 1 }
                ),
            answerOnly
          )
    return Effect.catchAll(result, (cause) => {
      this.abandon()
      return Effect.as(
        this.#options.reportFailure(cause, entry.path.text),
        answerOnly(answerOf.get(cause.code ?? "") ?? "failed")
      )
    }).pipe(Effect.tap(({ digests }) => Effect.sync(() => this.#keepDigests(digests.length))))
  }

  /** Reserves the memory of the digests of a file; false if the peer has too many already. */
  #reserveDigests(size: number): boolean {
    const count = blockCount(size)
    if (this.#options.memory?.reserve(digestMemory(count)) === false) return false
    this.#heldDigests += count
    return true
  }

  /** Releases the memory of all digests but those of the answer. */
  #keepDigests(count: number): void {
    this.#options.memory?.release(digestMemory(this.#heldDigests - count))
    this.#heldDigests = 0
  }

  #makeFolder(index: number, { path, mode }: Entry): Answer {
    const { directories, dry } = this.#options
    const existing = this.#existing(index)
    if (dry) return existing === undefined || existing.isDirectory() ? "made" : "exists"
    let isNew = false
    const make = () => (isNew = directories.ensure(path, mode | 0o700))
    if (existing === undefined) {
      if (!this.#addEntry(make)) return "quota"
    } else make()
    // Another session may have made it a moment ago.
    if (existing === undefined || Date.now() - existing.ctimeMs < limits.unflushedMillis)
      this.created.noteName(path)
    this.created.add(index, isNew)
    return "made"
  }

  /** Makes a folder or link within the quota; `make` returns false if it was there already. */
  #addEntry(make: () => boolean): boolean {
    const { quota } = this.#options
    if (quota?.add(costOf(0)) === false) return false
    let isMade = false
    try {
      isMade = make()
    } finally {
      if (!isMade) quota?.remove(costOf(0))
    }
    return true
  }

  /** Returns the status of an existing entry. */
  #existing(index: number, nameOf = (name: string): string => name): Stats | undefined {
    const destination = this.#existingFolder(index)
    return destination && PartialFile.lstatIfExists(destination.directory, nameOf(destination.name))
  }

  /**
   * Returns the destination of an entry if its folder exists: it may have been refused, or not been
   * made in a dry run.
   */
  #existingFolder(index: number): Destination | undefined {
    try {
      return this.destinationOf(index)
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined
      throw cause
    }
  }

  #makeLink(index: number, { target = "" }: Entry): Answer {
    const { dry, policy, collisions } = this.#options
    const existing = this.#existing(index)
    if (existing === undefined) {
      if (dry) return "made"
      const make = () => {
        const { directory, name } = this.destinationOf(index)
        symlinkSync(target, directory.pathOf(name))
        return true
      }
      if (!this.#addEntry(make)) return "quota"
      this.created.add(index)
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
      this.#options.quota?.remove(PartialFile.costOfStatus(existing) - costOf(0))
      symlinkSync(target, directory.pathOf(name))
    }
    this.created.add(index)
    return "made"
  }

  /** Determines the answer for a file. While another session of the peer writes it, waits. */
  #checkFile(index: number, entry: Entry): Effect.Effect<CheckResult, NodeJS.ErrnoException> {
    return Effect.gen(this, function* () {
      const wait = new LockWait()
      for (;;) {
        const result = yield* this.#tryFile(index, entry)
        if (result !== "held") return result
        yield* this.beforeWaiting
        const { directory, name } = yield* attempt(() => this.destinationOf(index))
        const partialName = PartialFile.resumableName(name, this.#options.tag, entry)
        if (!(yield* wait.next(directory, partialName))) return answerOnly("busy")
      }
    })
  }

  #tryFile(
    index: number,
    entry: Entry
  ): Effect.Effect<CheckResult | "held", NodeJS.ErrnoException> {
    return Effect.gen(this, function* () {
      const { dry } = this.#options
      const policy = this.policyFor(index)
      const existing = yield* attempt(() => this.#existing(index))
      let charge: Charge | undefined
      // Partial files of other versions make room for this one.
      if (!dry) yield* this.#removeStale(index, entry)
      if (existing !== undefined) {
        if (policy === "skip") return answerOnly("skipped")
        if (!isReplaceable(existing, policy)) return answerOnly("exists")
        if (policy === "refuse" && existing.size !== entry.size) return answerOnly("exists")
      } else {
        if (dry) return answerOnly("want")
        // Before the folder is opened, which may not exist because it did not fit itself.
        charge = yield* this.#chargeOrWait(index, existing)
        if (charge === undefined) return yield* this.#overQuota(index)
      }
      const { directory, name } = yield* attempt(() => this.destinationOf(index))
      // Other sessions of the peer hold its memory for a while.
      if (existing !== undefined && !this.#reserveDigests(entry.size)) return this.#busy()
      const copy =
        existing === undefined
          ? undefined
          : yield* compareExisting(directory, name, entry, policy, this.#buffers)
      if (copy !== undefined && policy === "refuse") return { answer: "differs", ...copy }
      // A numbered copy may be there already, which only the sender can tell.
      charge ??= yield* this.#chargeOrWait(index, existing)
      if (charge === undefined)
        return copy === undefined ? yield* this.#overQuota(index) : { answer: "differs", ...copy }
      const answered: CheckResult = {
        ...(copy === undefined ? answerOnly("want") : { answer: "compare", ...copy }),
        charge
      }
      return PartialFile.isResumable(entry) && !dry
        ? yield* this.#resume(directory, name, entry, answered)
        : answered
    })
  }

  /** The room may be that of the same file, which another session of the peer writes. */
  #overQuota(index: number): Effect.Effect<CheckResult | "held", NodeJS.ErrnoException> {
    return attempt(() => {
      const { tag, entries } = this.#options
      const entry = entries[index] as Entry
      const partial = this.#existing(index, (name) => PartialFile.resumableName(name, tag, entry))
      return partial !== undefined && holderOf(partial) !== undefined ? "held" : answerOnly("quota")
    })
  }

  /** Offers the blocks of a partial file, or the other answer if it has none. */
  #resume(
    directory: SafeDirectory,
    name: string,
    entry: Entry,
    otherwise: CheckResult
  ): Effect.Effect<CheckResult | "held", NodeJS.ErrnoException> {
    return Effect.gen(this, function* () {
      // Interruption between locking and holding the file would leave it locked.
      const { tag, holder } = this.#options
      const partial = yield* PartialFile.openResumable(directory, name, tag, entry, holder).pipe(
        Effect.tap((opened) =>
          Effect.sync(() => (this.#held = typeof opened === "string" ? undefined : opened))
        ),
        Effect.uninterruptible
      )
      const { charge = noCharge } = otherwise
      if (partial === "unusable") return this.#busy()
      if (partial === "held") {
        this.abandon()
        return "held"
      }
      partial.charge = charge
      if (!charge.recount(partial.costBefore)) {
        this.abandon()
        return answerOnly("quota")
      }
      if (!this.#reserveDigests(partial.length)) return this.#busy()
      const digests = yield* blockDigests(partial.fd, partial.length, entry.size, this.#buffers)
      return digests.length > 0
        ? { answer: "have", digests, partial, charge }
        : { ...otherwise, partial }
    })
  }

  #busy(): CheckResult {
    this.abandon()
    return answerOnly("busy")
  }

  /**
   * Reserves quota for a file. While it does not fit, waits for the earlier files of this session:
   * what they replace makes room. Undefined if it does not fit then.
   */
  #chargeOrWait(
    index: number,
    existing: Stats | undefined
  ): Effect.Effect<Charge | undefined, NodeJS.ErrnoException> {
    return Effect.gen(this, function* () {
      for (;;) {
        const charge = yield* attempt(() => this.#charge(index, existing))
        if (charge !== undefined || this.#outstanding === 0) return charge
        yield* this.beforeWaiting
        const before = this.#outstanding
        yield* Effect.suspend(() => (this.#outstanding < before ? Effect.void : this.#settled.wait))
      }
    })
  }

  /** Reserves quota for a file; undefined if it does not fit. */
  #charge(index: number, existing: Stats | undefined): Charge | undefined {
    const { quota, dry, tag, entries } = this.#options
    if (quota === undefined || dry) return noCharge
    const entry = entries[index] as Entry
    const isResumable = PartialFile.isResumable(entry)
    const partial = isResumable
      ? this.#existing(index, (name) => PartialFile.resumableName(name, tag, entry))
      : undefined
    // A small file is written at once. The partial file of a larger one stands beside what it is to
    // replace for as long as its sender likes.
    const isReplaced = existing !== undefined && this.policyFor(index) === "overwrite"
    const isSmall = entry.size <= limits.smallBytes
    const charge = quota.charge({
      cost: costOf(entry.size),
      partialCost: partial === undefined ? 0 : PartialFile.costOfStatus(partial),
      ...(isReplaced && isSmall
        ? { replaces: { path: entry.path.text, cost: PartialFile.costOfStatus(existing) } }
        : {}),
      onSettled: () => {
        this.#outstanding--
        this.#settled.notify()
      }
    })
    if (charge !== undefined) this.#outstanding++
    this.#heldCharge = charge
    return charge
  }

  /** Removes partial files that nobody can resume. */
  #removeStale(index: number, entry: Entry): Effect.Effect<void, NodeJS.ErrnoException> {
    return Effect.gen(this, function* () {
      const { tag, quota } = this.#options
      const destination = yield* attempt(() => this.#existingFolder(index))
      if (destination === undefined) return
      const { directory, name } = destination
      const onRemoved = (cost: number) => quota?.remove(cost)
      let names = this.#partialNames.get(directory.path)
      if (names === undefined) {
        names = yield* partialNamesIn(directory)
        this.#partialNames.set(directory.path, names)
        for (let start = 0; start < names.length; start += limits.entriesPerTurn) {
          if (start > 0) yield* yieldTurn
          const some = names.slice(start, start + limits.entriesPerTurn)
          yield* PartialFile.removeLeftovers(directory, some, tag, onRemoved)
        }
      }
      if (names.length > 0 && PartialFile.isResumable(entry))
        yield* PartialFile.removeOtherVersions(directory, names, name, tag, entry, onRemoved)
    })
  }
}

/** Returns the names of the partial files in a directory, which may have many other files. */
const partialNamesIn = (
  directory: SafeDirectory
): Effect.Effect<ReadonlyArray<string>, NodeJS.ErrnoException> =>
  Effect.suspend(() => {
    const found: Array<string> = []
    const names = forEachName(directory, (bytes) => {
      const name = Names.partialNameOf(bytes)
      if (name !== undefined) found.push(name)
    })
    return Effect.as(names, found)
  })

/** True if a file may take the place of what exists, or gets another name. */
const isReplaceable = (existing: Stats, policy: Policy): boolean =>
  existing.isFile() || policy === "rename" || (existing.isSymbolicLink() && policy === "overwrite")

const answerOnly = (answer: Answer): CheckResult => ({ answer, digests: [] })

/** True if another session has made an entry since it was looked for. */
const isTaken = ({ code }: NodeJS.ErrnoException): boolean => code === "EEXIST"

/** Codes of the system that mean something other than a failure of the disk. */
const answerOf: ReadonlyMap<string, Answer> = new Map([
  ["EEXIST", "exists"],
  ["ENOTDIR", "exists"],
  ["ELOOP", "exists"]
])
