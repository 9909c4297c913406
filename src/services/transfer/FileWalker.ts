// Lists the files, folders and links to send, and opens the files later one by one. Nothing else is
// ever opened: a device or a FIFO could block for ever.
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  type BigIntStats
} from "node:fs"
import path from "node:path"
import * as Effect from "effect/Effect"
import * as Printable from "../../bytes/Printable.ts"
import * as Utf8 from "../../bytes/Utf8.ts"
import * as RealPath from "../../keys/RealPath.ts"
import { yieldTurn } from "./Disk.ts"
import { limits, protocolLimits } from "./limits.ts"
import type { Entry } from "./Manifest.ts"
import type { LeftOut, LeftOutReason, LinkPolicy } from "./Messages.ts"
import * as Names from "./Names.ts"
import { SafeDirectories, type SafeDirectory } from "./SafeDirectory.ts"
import { SafePath } from "./SafePath.ts"
import { TransferStopped } from "./TransferErrors.ts"

/** An entry and its location on this side's disk. */
export interface SourceEntry {
  readonly entry: Entry
  readonly directories: SafeDirectories
  /** Path below `directories`. */
  readonly source: SafePath
}

/** An open source file, whose size and time are those of its entry. */
export interface OpenSource {
  readonly fd: number
  /** True if size and time are still those of the entry. */
  readonly isUnchanged: () => boolean
  readonly close: () => void
}

/** Does not follow a link, and does not wait for the writer of a FIFO. */
const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

const mtimeMicros = (stats: BigIntStats): number => Number(stats.mtimeNs / 1000n)

/** Opens a source file; returns the reason if it can no longer be sent. */
export const openSource = ({
  entry,
  directories,
  source
}: SourceEntry): OpenSource | LeftOutReason => {
  let fd: number
  try {
    fd = openSync(directories.get(source.parent).pathOf(source.name), readFlags)
  } catch (cause) {
    return reasonOf(cause)
  }
  const isUnchanged = () => {
    const stats = fstatSync(fd, { bigint: true })
    return stats.isFile() && Number(stats.size) === entry.size && mtimeMicros(stats) === entry.mtime
  }
  const problem = isUnchanged() ? excessProblem(fd, entry.size) : "changed"
  if (problem === undefined) return { fd, isUnchanged, close: () => closeSync(fd) }
  closeSync(fd)
  return problem
}

/** Finds content behind the stated size, which files of /proc have: they would be cut silently. */
const excessProblem = (fd: number, size: number): LeftOutReason | undefined => {
  try {
    return readSync(fd, oneByte, 0, 1, size) === 0 ? undefined : "unreadable"
  } catch {
    return "unreadable"
  }
}

const oneByte = Buffer.alloc(1)

const reasons: Readonly<Record<string, LeftOutReason>> = {
  ENOENT: "missing",
  ELOOP: "changed",
  EILSEQ: "name"
}

const reasonOf = (cause: unknown): LeftOutReason => {
  const { code } = cause as NodeJS.ErrnoException
  return reasons[code ?? ""] ?? "unreadable"
}

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
  #visited = 0

  constructor(links: LinkPolicy, served?: SafeDirectories) {
    this.#links = links
    this.#served = served
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
      if (this.#visited++ % limits.entriesPerTurn === 0) yield* yieldTurn
      if (this.sources.length >= protocolLimits.entries)
        return yield* new TransferStopped({ peer: "this side", reason: "tooMuch", side: "here" })
      let stats: BigIntStats
      try {
        const parent = directories.get(source.parent)
        stats =
          source.depth === 0
            ? fstatSync(parent.fd, { bigint: true })
            : lstatSync(parent.pathOf(source.name), { bigint: true })
      } catch (cause) {
        return this.#leaveOut(reasonOf(cause), sent.text)
      }
      const common = { path: sent, mode: Number(stats.mode) & 0o777, mtime: mtimeMicros(stats) }
      if (stats.isSymbolicLink()) return yield* this.#addLink(directories, source, common)
      if (stats.isDirectory()) return yield* this.#addFolder(directories, source, common, stats)
      if (!stats.isFile()) return this.#leaveOut("special", sent.text)
      const size = Number(stats.size)
      if (size > protocolLimits.fileBytes) return this.#leaveOut("unreadable", sent.text)
      this.sources.push({ entry: { kind: "file", size, ...common }, directories, source })
    })
  }

  #addFolder(
    directories: SafeDirectories,
    source: SafePath,
    common: CommonFields,
    { dev, ino }: BigIntStats
  ): Effect.Effect<void, TransferStopped> {
    return Effect.gen(this, function* () {
      const { path: sent } = common
      const id = `${dev}:${ino}`
      if (this.#enclosing.includes(id)) return this.#leaveOut("link", sent.text)
      let names: ReadonlyArray<Buffer>
      try {
        names = readdirSync(directories.get(source).listingPath, { encoding: "buffer" })
      } catch (cause) {
        return this.#leaveOut(reasonOf(cause), sent.text)
      }
      if (sent.depth > 0)
        this.sources.push({ entry: { kind: "folder", size: 0, ...common }, directories, source })
      this.#enclosing.push(id)
      for (const child of this.#children(names, sent))
        yield* this.add(directories, source.localChild(child.name), child)
      this.#enclosing.pop()
    })
  }

  /** Returns the paths of a folder's entries in manifest order; leaves out invalid names. */
  #children(names: ReadonlyArray<Buffer>, folder: SafePath): ReadonlyArray<SafePath> {
    const children: Array<SafePath> = []
    for (const bytes of names) {
      const name = Utf8.decode(bytes)
      if (name !== undefined && Names.isLock(name)) continue
      const child = name === undefined ? undefined : folder.child(name)
      if (child instanceof SafePath) children.push(child)
      else {
        const shown = name ?? Printable.bytes(bytes)
        this.#leaveOut(
          Names.parsePartialName(shown) === undefined ? "name" : "unfinished",
          folder.depth === 0 ? shown : `${folder.text}/${shown}`
        )
      }
    }
    return children.sort((one, other) => Names.compare(one.name, other.name))
  }

  /**
   * Returns the entries in the order of a manifest; of two with the same path the second is left
   * out. Undefined if none of the requested paths exists.
   */
  sorted(): ReadonlyArray<SourceEntry> | undefined {
    if (
      this.sources.length === 0 &&
      this.leftOut.length > 0 &&
      this.leftOut.every(({ reason }) => reason === "missing")
    )
      return undefined
    const order = (one: SourceEntry, other: SourceEntry) =>
      Names.compare(one.entry.path.text, other.entry.path.text)
    // Each folder was listed in order, so there is rarely anything to sort.
    const isSorted = this.sources.every(
      (source, index) => index === 0 || order(this.sources[index - 1] as SourceEntry, source) < 0
    )
    if (!isSorted) this.sources.sort(order)
    return this.sources.filter(({ entry }, index) => {
      const isTwice = index > 0 && this.sources[index - 1]?.entry.path.text === entry.path.text
      if (isTwice && entry.kind === "file") this.#leaveOut("twice", entry.path.text)
      return !isTwice
    })
  }

  #leaveOut(reason: LeftOutReason, text: string): void {
    this.leftOut.push({ reason, path: text })
  }

  #addLink(
    directories: SafeDirectories,
    source: SafePath,
    common: CommonFields
  ): Effect.Effect<void, TransferStopped> {
    return Effect.suspend(() => {
      const { path: sent } = common
      const leaveOut = (reason: LeftOutReason) =>
        Effect.sync(() => this.#leaveOut(reason, sent.text))
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
            this.sources.push({ entry, directories, source })
            return Effect.void
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

type CommonFields = Pick<Entry, "path" | "mode" | "mtime">
