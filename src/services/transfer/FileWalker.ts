// Lists the files, folders and links to send.
import { fstatSync, lstatSync, opendirSync, type BigIntStats, type Dir } from "node:fs"
import path from "node:path"
import * as Effect from "effect/Effect"
import * as Printable from "../../bytes/Printable.ts"
import * as Utf8 from "../../bytes/Utf8.ts"
import * as RealPath from "../../keys/RealPath.ts"
import { yieldTurn } from "./Disk.ts"
import { limits, protocolLimits } from "./limits.ts"
import { listingOptions } from "./Listing.ts"
import { encodedBytes, memoryOf, type Entry } from "./Manifest.ts"
import type { SessionMemory } from "../PeerBudgets.ts"
import type { LeftOut, LeftOutReason, LinkPolicy } from "./Messages.ts"
import * as Names from "./Names.ts"
import { SafeDirectories, type SafeDirectory } from "./SafeDirectory.ts"
import { SafePath } from "./SafePath.ts"
import { sortInTurns } from "./sortInTurns.ts"
import { mtimeMicros, reasonOf, versionOf, type SourceEntry } from "./SourceFile.ts"
import { TransferStopped } from "./TransferErrors.ts"

type WalkMemory = Pick<SessionMemory, "reserve" | "release">

const unlimited: WalkMemory = { reserve: () => true, release: () => {} }

/** Walks folders and collects the entries to send. */
export class FileWalker {
  readonly sources: Array<SourceEntry> = []
  readonly leftOut: Array<LeftOut> = []
  readonly #links: LinkPolicy
  /** Links may be followed below these only; undefined if this side's user chose what to send. */
  readonly #served: SafeDirectories | undefined
  /** Device and inode of each folder around the current one: a link may lead back to them. */
  readonly #enclosing: Array<string> = []
  /** Directories opened for links that lead elsewhere. */
  readonly #linked = new Map<string, SafeDirectories>()
  readonly #memory: WalkMemory
  #visited = 0
  /** Bytes of the paths and targets in the manifest, and of the paths that are left out. */
  #manifestBytes = 0
  #leftOutCount = 0
  #leftOutBytes = 0
  #missingCount = 0
  /** Run at intervals during the walk; it may send what the walk has found so far. */
  #turn: Effect.Effect<void> = Effect.void

  /** `memory` holds the entries, and the names of the folders around the current one. */
  constructor(links: LinkPolicy, served?: SafeDirectories, memory: WalkMemory = unlimited) {
    this.#links = links
    this.#served = served
    this.#memory = memory
  }

  /**
   * Adds the requested paths of a pull and everything in them, in the order of a manifest. A path
   * that is requested again adds nothing; of two with the same last name the second is left out.
   * `turn` runs at intervals, and may take the first entries of `leftOut` away.
   *
   * Fails with TransferStopped if nothing of it exists, or if the entries exceed a limit.
   */
  addRequested(
    directories: SafeDirectories,
    paths: ReadonlyArray<SafePath>,
    turn: Effect.Effect<void>
  ): Effect.Effect<void, TransferStopped> {
    return Effect.gen(this, function* () {
      this.#turn = turn
      const tops = new Map<string, SafePath>()
      const listed = new Set<SafePath>()
      for (const path of paths) {
        if (path.depth > 0) yield* this.#addTop(directories, tops, path)
        else {
          const { dev, ino } = fstatSync(directories.root.fd, { bigint: true })
          this.#enclosing[0] ??= `${dev}:${ino}`
          for (const child of yield* this.#list(directories, path, path)) {
            yield* this.#visit
            yield* this.#addTop(directories, tops, child)
            if (tops.get(child.name) === child) listed.add(child)
            else this.#memory.release(memoryOf(child))
          }
        }
      }
      for (const path of yield* this.#sort([...tops.values()])) {
        if (listed.has(path)) this.#memory.release(memoryOf(path))
        yield* this.add(directories, path, path.base)
      }
      if (this.isNotFound)
        return yield* new TransferStopped({ peer: "this server", reason: "notFound", side: "here" })
    })
  }

  #addTop(
    directories: SafeDirectories,
    tops: Map<string, SafePath>,
    path: SafePath
  ): Effect.Effect<void, TransferStopped> {
    return Effect.suspend(() => {
      const first = tops.get(path.name)
      if (first === undefined || (first.text !== path.text && !exists(directories, first))) {
        tops.set(path.name, path)
        return first === undefined ? Effect.void : this.#leaveOut("missing", first.text)
      }
      return first.text === path.text ? Effect.void : this.#leaveOut("twice", path.text)
    })
  }

  /** True if there is no entry, and everything that was left out is missing. */
  get isNotFound(): boolean {
    return (
      this.sources.length === 0 &&
      this.#leftOutCount > 0 &&
      this.#leftOutCount === this.#missingCount
    )
  }

  /**
   * Adds the file, folder or link at `source` and everything in it. It is sent as `sent`; the root
   * adds only the content of a folder. Fails with TransferStopped if there are too many entries.
   */
  add(
    directories: SafeDirectories,
    source: SafePath,
    sent: SafePath
  ): Effect.Effect<void, TransferStopped> {
    return Effect.gen(this, function* () {
      yield* this.#visit
      let stats: BigIntStats
      try {
        const parent = directories.get(source.parent)
        stats =
          source.depth === 0
            ? fstatSync(parent.fd, { bigint: true })
            : lstatSync(parent.pathOf(source.name), { bigint: true })
      } catch (cause) {
        return yield* this.#leaveOut(reasonOf(cause), sent.text)
      }
      const common = { path: sent, mode: Number(stats.mode) & 0o777, mtime: mtimeMicros(stats) }
      const at = { directories, source, version: versionOf(stats) }
      if (stats.isSymbolicLink()) return yield* this.#addLink(at, common)
      if (stats.isDirectory()) return yield* this.#addFolder(at, common, stats)
      if (!stats.isFile()) return yield* this.#leaveOut("special", sent.text)
      const size = Number(stats.size)
      if (size > protocolLimits.fileBytes) return yield* this.#leaveOut("unreadable", sent.text)
      yield* this.#include({ entry: { kind: "file", size, ...common }, ...at })
    })
  }

  /** Lets other sessions run, and the found entries be sent. */
  get #visit(): Effect.Effect<void> {
    return this.#visited++ % limits.entriesPerTurn === 0
      ? Effect.zipRight(yieldTurn, this.#turn)
      : Effect.void
  }

  #include(found: SourceEntry): Effect.Effect<void, TransferStopped> {
    return Effect.suspend(() => {
      const { path: sent, target = "" } = found.entry
      this.#manifestBytes += encodedBytes(found.entry)
      // Most entries are sent under the path that they have here, and need it once.
      const isSame = found.source.text === sent.text
      const memory = memoryOf(sent, target) + (isSame ? 0 : memoryOf(found.source))
      if (
        this.sources.length >= protocolLimits.entries ||
        this.#manifestBytes > protocolLimits.manifestBytes ||
        !this.#memory.reserve(memory)
      )
        return tooMuch()
      this.sources.push(isSame ? { ...found, source: sent } : found)
      return Effect.void
    })
  }

  #addFolder(
    at: SourceLocation,
    common: CommonFields,
    { dev, ino }: BigIntStats
  ): Effect.Effect<void, TransferStopped> {
    return Effect.gen(this, function* () {
      const { directories, source } = at
      const { path: sent } = common
      const id = `${dev}:${ino}`
      if (this.#enclosing.includes(id)) return yield* this.#leaveOut("link", sent.text)
      const children = yield* this.#list(directories, source, sent, () =>
        sent.depth > 0
          ? this.#include({ entry: { kind: "folder", size: 0, ...common }, ...at })
          : Effect.void
      )
      this.#enclosing.push(id)
      for (const child of children) {
        // Its entry reserves it again.
        this.#memory.release(memoryOf(child))
        yield* this.add(directories, source.localChild(child.name), child)
      }
      this.#enclosing.pop()
    })
  }

  /**
   * Returns the paths of a folder's entries in manifest order, and leaves out invalid names. Runs
   * `opened` when the folder could be opened. Holds no more names than a manifest may have; the
   * caller releases their memory.
   */
  #list(
    directories: SafeDirectories,
    source: SafePath,
    sent: SafePath,
    opened: () => Effect.Effect<void, TransferStopped> = () => Effect.void
  ): Effect.Effect<ReadonlyArray<SafePath>, TransferStopped> {
    return Effect.gen(this, function* () {
      const children: Array<SafePath> = []
      let listing: Dir
      try {
        listing = opendirSync(directories.get(source).listingPath, listingOptions)
      } catch (cause) {
        yield* this.#leaveOut(reasonOf(cause), sent.text)
        return []
      }
      const readAll = Effect.gen(this, function* () {
        yield* opened()
        for (let next = listing.readSync(); next !== null; next = listing.readSync()) {
          yield* this.#visit
          const bytes = next.name as unknown as Buffer
          const name = Utf8.decode(bytes)
          if (name !== undefined && Names.isLock(name)) continue
          const child = name === undefined ? undefined : sent.child(name)
          if (child instanceof SafePath) {
            if (
              this.sources.length + children.length >= protocolLimits.entries ||
              !this.#memory.reserve(memoryOf(child))
            )
              return yield* tooMuch()
            children.push(child)
          } else {
            const shown = name ?? Printable.bytes(bytes)
            yield* this.#leaveOut(
              Names.parsePartialName(shown) === undefined ? "name" : "unfinished",
              sent.depth === 0 ? shown : `${sent.text}/${shown}`
            )
          }
        }
      })
      yield* Effect.ensuring(
        readAll,
        Effect.sync(() => listing.closeSync())
      )
      return yield* this.#sort(children)
    })
  }

  /** Sorts paths by their names. The names that need a key of their own take memory meanwhile. */
  #sort(paths: ReadonlyArray<SafePath>): Effect.Effect<ReadonlyArray<SafePath>, TransferStopped> {
    return Effect.gen(this, function* () {
      let keyMemory = 0
      let isOver = false
      const sorted = yield* sortInTurns(paths, ({ name }) => {
        const key = isOver ? name : Names.sortKey(name)
        if (key === name) return name
        const bytes = limits.entryMemory + limits.characterMemory * key.length
        isOver = !this.#memory.reserve(bytes)
        if (isOver) return name
        keyMemory += bytes
        return key
      })
      this.#memory.release(keyMemory)
      return isOver ? yield* tooMuch() : sorted
    })
  }

  /**
   * Returns the entries in the order of a manifest; of two with the same path the second is left
   * out. Undefined if none of the requested paths exists.
   */
  sorted(): ReadonlyArray<SourceEntry> | undefined {
    if (this.isNotFound) return undefined
    const order = (one: SourceEntry, other: SourceEntry) =>
      Names.compare(one.entry.path.text, other.entry.path.text)
    // Each folder was listed in order, so there is rarely anything to sort.
    const isSorted = this.sources.every(
      (source, index) => index === 0 || order(this.sources[index - 1] as SourceEntry, source) < 0
    )
    if (!isSorted) this.sources.sort(order)
    return this.sources.filter(({ entry }, index) => {
      const isTwice = index > 0 && this.sources[index - 1]?.entry.path.text === entry.path.text
      if (isTwice && entry.kind === "file")
        this.leftOut.push({ reason: "twice", path: entry.path.text })
      return !isTwice
    })
  }

  /** TRANSFER.md section 3: as many LEFTOUT as a manifest may have entries. */
  #leaveOut(reason: LeftOutReason, text: string): Effect.Effect<void, TransferStopped> {
    return Effect.suspend(() => {
      this.#leftOutCount++
      if (reason === "missing") this.#missingCount++
      this.#leftOutBytes += leftOutHeaderBytes + Buffer.byteLength(text)
      if (
        this.#leftOutCount > protocolLimits.entries ||
        this.#leftOutBytes > protocolLimits.manifestBytes
      )
        return tooMuch()
      this.leftOut.push({ reason, path: text })
      return Effect.void
    })
  }

  #addLink(at: SourceLocation, common: CommonFields): Effect.Effect<void, TransferStopped> {
    return Effect.suspend(() => {
      const { directories, source } = at
      const { path: sent } = common
      const leaveOut = (reason: LeftOutReason) => this.#leaveOut(reason, sent.text)
      try {
        const parent = directories.get(source.parent)
        switch (this.#links) {
          case "skip":
            return leaveOut("link")
          case "keep": {
            const target = RealPath.targetSync(parent.pathOf(source.name))
            if (Names.targetProblem(target, sent.depth - 1) !== undefined)
              return leaveOut("outside")
            const entry = { kind: "link", size: 0, ...common, mode: 0o777, target } as const
            return this.#include({ entry, ...at })
          }
          case "follow":
            return this.#follow(parent, source.name, sent) ?? leaveOut("outside")
        }
      } catch (cause) {
        return leaveOut(reasonOf(cause))
      }
    })
  }

  /** Adds the target of a link; undefined if it leads out of the served folder. */
  #follow(
    parent: SafeDirectory,
    name: string,
    sent: SafePath
  ): Effect.Effect<void, TransferStopped> | undefined {
    const target = RealPath.resolveSync(path.join(parent.path, name))
    if (this.#served === undefined) {
      const directories = this.#openLinked(path.dirname(target))
      const source = SafePath.local(path.basename(target)) ?? SafePath.root
      return this.add(directories, source, sent)
    }
    const source = SafePath.local(path.relative(this.#served.root.path, target))
    return source === undefined ? undefined : this.add(this.#served, source, sent)
  }

  #openLinked(folder: string): SafeDirectories {
    const directories = this.#linked.get(folder) ?? new SafeDirectories(folder)
    this.#linked.set(folder, directories)
    return directories
  }

  /** Closes the directories that it opened for links. */
  close(): void {
    for (const directories of this.#linked.values()) directories.close()
  }
}

/** Reason and length before the path of LEFTOUT. */
const leftOutHeaderBytes = 3

const tooMuch = () => new TransferStopped({ peer: "this side", reason: "tooMuch", side: "here" })

const exists = (directories: SafeDirectories, { parent, name }: SafePath): boolean => {
  try {
    lstatSync(directories.get(parent).pathOf(name))
    return true
  } catch {
    return false
  }
}

type CommonFields = Pick<Entry, "path" | "mode" | "mtime">

type SourceLocation = Omit<SourceEntry, "entry">
