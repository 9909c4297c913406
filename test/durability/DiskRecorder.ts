// Records what this process does to the disk, from the calls of node:fs. Calls of other threads and
// of native code do not pass through it.
import fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import path from "node:path"
import type { DiskEvent } from "./order.ts"

type Callable = (this: unknown, ...args: ReadonlyArray<unknown>) => unknown
type Functions = Record<string, Callable>

/** The functions as they are before a recorder replaces them. */
const original = { ...fs, promises: { ...fs.promises } }

const identity = ({ dev, ino }: fs.Stats): string => `${dev}:${ino}`

const identityAt = (file: string): string => identity(original.lstatSync(file))
const identityOfFd = (fd: number): string => identity(original.fstatSync(fd))

/** The path without links in its folder: /proc/self/fd/7/name becomes the real one. */
const realPath = (file: string): string =>
  path.join(original.realpathSync(path.dirname(file)), path.basename(file))

export class DiskRecorder {
  readonly events: Array<DiskEvent> = []
  readonly #restores: Array<() => void> = []
  #flushes = 0

  confirm(file: string): void {
    this.events.push({ kind: "confirmed", path: realPath(file) })
  }

  /** Replaces the functions until `stop`. */
  async start(): Promise<void> {
    const sync = fs as unknown as Functions
    const promises = fs.promises as unknown as Functions
    const handle = await original.promises.open("/dev/null")
    const handlePrototype = Object.getPrototypeOf(handle) as Functions
    await handle.close()

    for (const name of ["writeSync", "ftruncateSync"])
      this.#aroundSync(sync, name, (fd) => this.#write(fd))
    this.#callback(sync, "write", (fd) => this.#write(fd))
    for (const name of ["fsync", "fdatasync"])
      this.#callback(sync, name, (fd) => this.#flush(identityOfFd(fd as number)))
    for (const name of ["fsyncSync", "fdatasyncSync"])
      this.#aroundSync(sync, name, (fd) => this.#flush(identityOfFd(fd as number)))
    for (const name of ["write", "writev", "writeFile", "appendFile", "truncate"])
      this.#promise(handlePrototype, name, (_, __, self) => this.#write((self as Handle).fd))
    for (const name of ["sync", "datasync"])
      this.#promise(handlePrototype, name, (_, __, self) =>
        this.#flush(identityOfFd((self as Handle).fd))
      )
    for (const name of ["rename", "link"]) {
      this.#promise(promises, name, (from, to) => this.#name(from, to))
      this.#aroundSync(sync, `${name}Sync`, (from, to) => this.#name(from, to))
    }
    this.#aroundSync(sync, "mkdirSync", (made) => () => this.#named(made))
    this.#aroundSync(sync, "symlinkSync", (_, made) => () => this.#named(made))
    syncBuiltinESMExports()
  }

  stop(): void {
    for (const restore of this.#restores) restore()
    syncBuiltinESMExports()
  }

  #replace(of: Functions, name: string, by: (before: Callable) => Callable): void {
    const before = of[name] as Callable
    of[name] = by(before)
    this.#restores.push(() => void (of[name] = before))
  }

  /** `begin` records the call and returns what records its end. */
  #aroundSync(of: Functions, name: string, begin: Begin): void {
    this.#replace(
      of,
      name,
      (before) =>
        function (this: unknown, ...args) {
          const end = begin(args[0], args[1], this)
          const result = Reflect.apply(before, this, args)
          end()
          return result
        }
    )
  }

  #promise(of: Functions, name: string, begin: Begin): void {
    this.#replace(
      of,
      name,
      (before) =>
        async function (this: unknown, ...args) {
          const end = begin(args[0], args[1], this)
          const result = await Reflect.apply(before, this, args)
          end()
          return result
        }
    )
  }

  #callback(of: Functions, name: string, begin: Begin): void {
    this.#replace(
      of,
      name,
      (before) =>
        function (this: unknown, ...args) {
          const end = begin(args[0], args[1], this)
          const callback = args.at(-1) as (
            error: Error | null,
            ...rest: ReadonlyArray<unknown>
          ) => void
          const ended = (error: Error | null, ...rest: ReadonlyArray<unknown>) => {
            if (error === null) end()
            callback(error, ...rest)
          }
          return Reflect.apply(before, this, [...args.slice(0, -1), ended])
        }
    )
  }

  #write(fd: unknown): () => void {
    const file = identityOfFd(fd as number)
    // A connection is no file.
    if (!original.fstatSync(fd as number).isFile()) return () => {}
    const note = () => void this.events.push({ kind: "write", file })
    note()
    return note
  }

  #flush(file: string): () => void {
    const id = ++this.#flushes
    this.events.push({ kind: "flush begins", file, id })
    return () => void this.events.push({ kind: "flush ended", file, id })
  }

  #name(from: unknown, to: unknown): () => void {
    this.events.push({ kind: "naming", file: identityAt(String(from)), path: realPath(String(to)) })
    return () => this.#named(to)
  }

  #named(at: unknown): void {
    const made = realPath(String(at))
    this.events.push({ kind: "named", folder: identityAt(path.dirname(made)), path: made })
  }
}

interface Handle {
  readonly fd: number
}

type Begin = (first: unknown, second: unknown, self: unknown) => () => void

/** Runs a program with a recorder, and restores node:fs. */
export const recorded = async (
  run: (recorder: DiskRecorder) => Promise<void>
): Promise<ReadonlyArray<DiskEvent>> => {
  const recorder = new DiskRecorder()
  await recorder.start()
  try {
    await run(recorder)
  } finally {
    recorder.stop()
  }
  return recorder.events
}
