// What lies on this side's disk and is to be sent: a list first, and later each file's bytes. Nothing but files, folders and, where
// they are wanted, symbolic links is ever looked into: a device or a FIFO could hang for ever.
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  realpathSync,
  type BigIntStats
} from "node:fs"
import path from "node:path"
import * as Effect from "effect/Effect"
import { SafeDirectories, type SafeDirectory } from "./SafeDirectory.ts"
import { limits, protocolLimits } from "./limits.ts"
import type { Entry } from "./Manifest.ts"
import * as Names from "./Names.ts"
import { TransferStopped } from "./TransferErrors.ts"
import type { LeftOut, LinkPolicy, LeftOutReason } from "./Messages.ts"

/** An entry, and where it lies. */
export interface SourceEntry {
  readonly entry: Entry
  readonly directories: SafeDirectories
  readonly names: ReadonlyArray<string>
}

/** A file whose bytes are wanted. Its size and time are those of its entry. */
export interface OpenSource {
  readonly fd: number
  /** True when it is, and was, all the time, what its entry says. */
  readonly isUnchanged: () => boolean
  readonly close: () => void
}

/** Nothing is waited for, no link is followed. */
const toRead = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** Microseconds since 1970. */
const microseconds = (stats: BigIntStats): number => Number(stats.mtimeNs / 1000n)

/** Opens a file of the list; or why it is not sent after all. */
export const openSource = ({
  entry,
  directories: folders,
  names
}: SourceEntry): OpenSource | LeftOutReason => {
  let fd: number
  try {
    fd = openSync(folders.get(names.slice(0, -1)).pathOf(names.at(-1) as string), toRead)
  } catch (cause) {
    return reasonOf(cause)
  }
  const isUnchanged = () => {
    const stats = fstatSync(fd, { bigint: true })
    return (
      stats.isFile() && Number(stats.size) === entry.size && microseconds(stats) === entry.mtime
    )
  }
  const wrong = isUnchanged() ? beyond(fd, entry.size) : "changed"
  if (wrong === undefined) return { fd, isUnchanged, close: () => closeSync(fd) }
  closeSync(fd)
  return wrong
}

/** A file that has more than it says, as those of /proc do, would be cut off without a word. */
const beyond = (fd: number, size: number): LeftOutReason | undefined => {
  try {
    return readSync(fd, oneByte, 0, 1, size) === 0 ? undefined : "unreadable"
  } catch {
    return "unreadable"
  }
}

const oneByte = Buffer.alloc(1)

const reasonOf = (cause: unknown): LeftOutReason => {
  const { code } = cause as NodeJS.ErrnoException
  return code === "ENOENT" ? "missing" : code === "ELOOP" ? "changed" : "unreadable"
}

const turn = Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))

/** Makes a list of what is to be sent. */
export class FileWalker {
  readonly sources: Array<SourceEntry> = []
  readonly leftOut: Array<LeftOut> = []
  readonly #links: LinkPolicy
  /** Below which links may be followed; undefined where this side's own user says what is sent. */
  readonly #within: SafeDirectories | undefined
  /** Folders around the one that is read, by device and inode: a link may lead to one of them. */
  readonly #around: Array<string> = []
  #looked = 0

  constructor(links: LinkPolicy, within?: SafeDirectories) {
    this.#links = links
    this.#within = within
  }

  /** One thing to be sent, by its place, and all that is in it. `as` is the path it gets, "" for what is in it alone. */
  add(
    folders: SafeDirectories,
    names: ReadonlyArray<string>,
    as: ReadonlyArray<string>
  ): Effect.Effect<void, TransferStopped> {
    return Effect.gen(this, function* () {
      if (this.#looked++ % limits.entriesPerTurn === 0) yield* turn
      if (this.sources.length >= protocolLimits.entries)
        return yield* new TransferStopped({ peer: "this side", reason: "many", side: "here" })
      const shown = as.join("/")
      let stats: BigIntStats
      let parent: SafeDirectory
      const name = names.at(-1)
      try {
        parent = folders.get(names.slice(0, -1))
        stats =
          name === undefined
            ? fstatSync(parent.fd, { bigint: true })
            : lstatSync(parent.pathOf(name), { bigint: true })
      } catch (cause) {
        return this.#leave(reasonOf(cause), shown)
      }
      const entry = { path: shown, mode: Number(stats.mode) & 0o777, mtime: microseconds(stats) }
      if (stats.isSymbolicLink()) return yield* this.#link(folders, names, as, entry)
      if (stats.isFile()) {
        const size = Number(stats.size)
        if (size > protocolLimits.fileBytes) return this.#leave("unreadable", shown)
        this.sources.push({ entry: { kind: "file", size, ...entry }, directories: folders, names })
        return
      }
      if (!stats.isDirectory()) return this.#leave("special", shown)
      const id = `${stats.dev}:${stats.ino}`
      if (this.#around.includes(id)) return this.#leave("link", shown)
      let inside: ReadonlyArray<Buffer>
      try {
        inside = readdirSync(folders.get(names).listingPath, { encoding: "buffer" })
      } catch (cause) {
        return this.#leave(reasonOf(cause), shown)
      }
      if (as.length > 0)
        this.sources.push({
          entry: { kind: "folder", size: 0, ...entry },
          directories: folders,
          names
        })
      this.#around.push(id)
      const texts: Array<string> = []
      for (const bytes of inside) {
        const text = bytes.toString()
        const refused =
          Buffer.compare(Buffer.from(text), bytes) === 0
            ? Names.nameProblem(text)
            : "a name is no text"
        if (refused === undefined && typeof Names.parse([...as, text].join("/")) !== "string")
          texts.push(text)
        else
          this.#leave(
            Names.parsePartialName(text) === undefined ? "name" : "unfinished",
            [...as, text].join("/")
          )
      }
      for (const text of texts.sort(Names.compare))
        yield* this.add(folders, [...names, text], [...as, text])
      this.#around.pop()
    })
  }

  /** In the order of a manifest; of two that would get one path the second is left out. Undefined where nothing was found at all. */
  sorted(): ReadonlyArray<SourceEntry> | undefined {
    if (
      this.sources.length === 0 &&
      this.leftOut.length > 0 &&
      this.leftOut.every(({ reason }) => reason === "missing")
    )
      return undefined
    // In most cases it is in order already: each folder was read so.
    const order = (one: SourceEntry, other: SourceEntry) =>
      Names.compare(one.entry.path, other.entry.path)
    if (
      this.sources.some(
        (item, at) => at > 0 && order(this.sources[at - 1] as SourceEntry, item) >= 0
      )
    )
      this.sources.sort(order)
    return this.sources.filter((item, at) => {
      const isTwice = at > 0 && this.sources[at - 1]?.entry.path === item.entry.path
      if (isTwice && item.entry.kind === "file") this.#leave("twice", item.entry.path)
      return !isTwice
    })
  }

  #leave(reason: LeftOutReason, path: string): void {
    this.leftOut.push({ reason, path })
  }

  #link(
    folders: SafeDirectories,
    names: ReadonlyArray<string>,
    as: ReadonlyArray<string>,
    entry: Pick<Entry, "path" | "mode" | "mtime">
  ): Effect.Effect<void, TransferStopped> {
    return Effect.suspend(() => {
      const shown = as.join("/")
      const parent = folders.get(names.slice(0, -1))
      const name = names.at(-1) as string
      try {
        switch (this.#links) {
          case "skip":
            return Effect.sync(() => this.#leave("link", shown))
          case "keep": {
            const target = readlinkSync(parent.pathOf(name))
            if (Names.targetProblem(target, as.length - 1) !== undefined)
              return Effect.sync(() => this.#leave("outside", shown))
            this.sources.push({
              entry: { kind: "link", size: 0, ...entry, mode: 0o777, target },
              directories: folders,
              names
            })
            return Effect.void
          }
          case "follow": {
            const real = realpathSync(path.join(parent.path, name))
            if (this.#within === undefined) {
              const there = this.#outside(path.dirname(real))
              return this.add(there, [path.basename(real)], as)
            }
            const below = path.relative(this.#within.root.path, real)
            if (below === "" || below === ".." || below.startsWith("../"))
              return Effect.sync(() => this.#leave("outside", shown))
            return this.add(this.#within, below.split("/"), as)
          }
        }
      } catch (cause) {
        return Effect.sync(() => this.#leave(reasonOf(cause), shown))
      }
    })
  }

  readonly #others = new Map<string, SafeDirectories>()

  #outside(folder: string): SafeDirectories {
    const known = this.#others.get(folder) ?? new SafeDirectories(folder)
    this.#others.set(folder, known)
    return known
  }

  /** Closes every folder that it has opened outside. */
  close(): void {
    for (const folders of this.#others.values()) folders.close()
  }
}
