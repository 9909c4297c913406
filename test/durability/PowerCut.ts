// A disk that loses its power. Content and names that were not flushed may be lost, in any
// combination: each is kept or lost by itself, whatever came before or after it.
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs"
import path from "node:path"
import type { Change, Step } from "./Trace.ts"

/** Something that a file or folder has undergone. */
interface Pending<Operation> {
  readonly operation: Operation
  hasEnded: boolean
  isFlushed: boolean
}

type Content = { readonly at: number; readonly bytes: Buffer } | { readonly length: number }

class Inode {
  /** What is on the disk for certain. */
  flushed: Buffer = Buffer.alloc(0)
  pending: Array<Pending<Content>> = []
}

type Node = Inode | "folder" | { readonly target: string }

/** What a name of a folder is from now on; undefined if it is gone. */
type Naming = ReadonlyArray<readonly [name: string, node: Node | undefined]>

class Folder {
  readonly flushed = new Map<string, Node>()
  pending: Array<Pending<Naming>> = []
  /** As a process sees it. */
  readonly now = new Map<string, Node>()
}

/** The files after a power cut: contents, targets of links, and folders, by their paths. */
export type Files = ReadonlyMap<string, Buffer | { readonly target: string } | "folder">

export class Disk {
  readonly #folders = new Map<string, Folder>()
  readonly #root: string
  readonly #begun = new Map<Change, () => void>()

  /** Starts with the files below a folder, which are flushed. */
  constructor(root: string) {
    this.#root = root
    this.#load(root)
  }

  #load(at: string): void {
    const folder = this.#folder(at)
    for (const name of readdirSync(at)) {
      const file = path.join(at, name)
      const stats = lstatSync(file)
      let node: Node = "folder"
      if (stats.isSymbolicLink()) node = { target: readlinkSync(file) }
      else if (stats.isFile()) {
        node = new Inode()
        node.flushed = readFileSync(file)
      } else this.#load(file)
      folder.flushed.set(name, node)
      folder.now.set(name, node)
    }
  }

  #folder(at: string): Folder {
    const found = this.#folders.get(at) ?? new Folder()
    this.#folders.set(at, found)
    return found
  }

  #find(file: string): Node | undefined {
    return this.#folder(path.dirname(file)).now.get(path.basename(file))
  }

  /** Applies one step of a trace. */
  apply({ begins, ends }: Step): void {
    if (begins !== undefined) this.#begun.set(begins, this.#begin(begins))
    if (ends === undefined) return
    this.#begun.get(ends)?.()
    this.#begun.delete(ends)
  }

  /** Begins a change; returns what its end does. */
  #begin(change: Change): () => void {
    switch (change.kind) {
      case "said":
        return () => {}
      case "write":
        return this.#change(change.path, { at: change.at, bytes: change.bytes })
      case "truncate":
        return this.#change(change.path, { length: change.length })
      case "sync":
        return this.#sync(change.path)
      case "create":
        return this.#find(change.path) === undefined
          ? this.#name(change.path, new Inode())
          : () => {}
      case "mkdir":
        return this.#name(change.path, "folder")
      case "symlink":
        return this.#name(change.path, { target: change.target })
      case "unlink":
      case "rmdir":
        return this.#name(change.path, undefined)
      case "link":
        return this.#name(change.path, this.#find(change.from))
      case "rename": {
        const node = this.#find(change.from)
        // One step where both names are in one folder.
        if (path.dirname(change.from) === path.dirname(change.path))
          return this.#rename(path.dirname(change.path), [
            [path.basename(change.path), node],
            [path.basename(change.from), undefined]
          ])
        const ends = [this.#name(change.path, node), this.#name(change.from, undefined)]
        return () => {
          for (const end of ends) end()
        }
      }
    }
  }

  #change(file: string, operation: Content): () => void {
    const node = this.#find(file)
    // Nobody finds the content of a file without a name.
    if (!(node instanceof Inode)) return () => {}
    const pending = { operation, hasEnded: false, isFlushed: false }
    node.pending.push(pending)
    return () => void (pending.hasEnded = true)
  }

  #name(file: string, node: Node | undefined): () => void {
    return this.#rename(path.dirname(file), [[path.basename(file), node]])
  }

  #rename(at: string, operation: Naming): () => void {
    const folder = this.#folder(at)
    const pending = { operation, hasEnded: false, isFlushed: false }
    folder.pending.push(pending)
    return () => {
      pending.hasEnded = true
      for (const [name, node] of operation)
        if (node === undefined) folder.now.delete(name)
        else folder.now.set(name, node)
    }
  }

  /** A flush covers what had ended when it began. */
  #sync(file: string): () => void {
    const folder = this.#folders.get(file)
    const node = folder ?? this.#find(file)
    if (!(node instanceof Folder) && !(node instanceof Inode)) return () => {}
    const all: Array<Pending<unknown>> = node.pending
    const covered = all.filter(({ hasEnded }) => hasEnded)
    return () => {
      for (const pending of covered) pending.isFlushed = true
      this.#settle(node)
    }
  }

  /** Applies what is flushed and has nothing before it that may be lost. */
  #settle(node: Folder | Inode): void {
    if (node instanceof Folder)
      while (node.pending[0]?.isFlushed === true)
        rename(node.flushed, node.pending.shift()?.operation ?? [])
    else
      while (node.pending[0]?.isFlushed === true)
        node.flushed = change(node.flushed, (node.pending.shift() as Pending<Content>).operation)
  }

  /** Returns the files after a power cut now; `isKept` decides about each change not flushed. */
  cut(isKept: () => boolean): Files {
    const files = new Map<string, Buffer | { readonly target: string } | "folder">()
    const contents = new Map<Inode, Buffer>()
    const visit = (at: string) => {
      const folder = this.#folder(at)
      const names = new Map(folder.flushed)
      for (const { operation, isFlushed } of folder.pending)
        if (isFlushed || isKept()) rename(names, operation)
      for (const [name, node] of names) {
        const file = path.join(at, name)
        if (node instanceof Inode) {
          const content = contents.get(node) ?? contentOf(node, isKept)
          contents.set(node, content)
          files.set(path.relative(this.#root, file), content)
        } else {
          files.set(path.relative(this.#root, file), node)
          if (node === "folder") visit(file)
        }
      }
    }
    visit(this.#root)
    return files
  }
}

const contentOf = ({ flushed, pending }: Inode, isKept: () => boolean): Buffer => {
  let content = flushed
  for (const { operation, isFlushed } of pending)
    if (isFlushed || isKept()) content = change(content, operation)
  return content
}

const rename = (names: Map<string, Node>, operation: Naming): void => {
  for (const [name, node] of operation)
    if (node === undefined) names.delete(name)
    else names.set(name, node)
}

const change = (content: Buffer, operation: Content): Buffer => {
  if ("length" in operation) {
    const changed = Buffer.alloc(operation.length)
    content.copy(changed, 0, 0, operation.length)
    return changed
  }
  const { at, bytes } = operation
  const changed = Buffer.alloc(Math.max(content.length, at + bytes.length))
  content.copy(changed)
  bytes.copy(changed, at)
  return changed
}

/** Returns a function that decides by chance, the same for the same seed: mulberry32. */
export const coin = (seed: number): (() => boolean) => {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) & 1) === 0
  }
}

/** The decisions that are tried at each cut: everything, nothing, and some by chance. */
export const decisions = (seed: number, samples: number): ReadonlyArray<() => boolean> => [
  () => true,
  () => false,
  ...Array.from({ length: samples }, (_, sample) => coin(seed * 1000 + sample))
]
