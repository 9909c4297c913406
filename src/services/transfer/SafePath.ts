// Paths below a directory. Text from a peer becomes a SafePath once, where its frame is decoded;
// everything behind that takes SafePath, so that an unchecked name does not compile.
import { protocolLimits } from "./limits.ts"
import * as Names from "./Names.ts"

/** True for a name that the system resolves to something other than an entry of its directory. */
const isTraversal = (name: string): boolean =>
  name === "" || name === "." || name === ".." || name.includes("/") || name.includes("\0")

/**
 * A path below a directory, as checked names: none is empty, `.` or `..`, and none contains `/` or
 * NUL, so that it cannot lead out of the directory. Paths in one folder share its SafePath.
 */
export class SafePath {
  /** The directory itself: no names, and its own parent. */
  static readonly root = new SafePath(undefined, "", "")

  readonly parent: SafePath
  /** The last name; empty for the root. */
  readonly name: string
  /** All names with `/` between them; empty for the root. */
  readonly text: string
  /** Number of names. */
  readonly depth: number

  private constructor(parent: SafePath | undefined, name: string, text: string) {
    this.parent = parent ?? this
    this.name = name
    this.text = text
    this.depth = parent === undefined ? 0 : parent.depth + 1
  }

  /** Parses a relative path of a peer; returns the rule of TRANSFER.md section 3 that it breaks. */
  static parse(text: string): SafePath | string {
    if (Buffer.byteLength(text) > protocolLimits.pathBytes)
      return `a path is longer than ${protocolLimits.pathBytes} bytes`
    const names = text.split("/")
    if (names.length > protocolLimits.depth)
      return `a path has more than ${protocolLimits.depth} names`
    let path = SafePath.root
    for (const name of names) {
      const next = path.child(name)
      if (typeof next === "string") return text.startsWith("/") ? "a path is absolute" : next
      path = next
    }
    return path
  }

  /**
   * Parses a relative path of this machine, whose names need not keep the rules for a peer's;
   * undefined if it leads out of the directory.
   */
  static local(text: string): SafePath | undefined {
    const names = text.split("/")
    if (names.some(isTraversal)) return undefined
    return names.reduce<SafePath>((path, name) => path.localChild(name), SafePath.root)
  }

  /** Returns the path of an entry of this folder, or the rule that the name or path breaks. */
  child(name: string): SafePath | string {
    const problem = Names.nameProblem(name)
    if (problem !== undefined) return problem
    const path = this.localChild(name)
    if (Buffer.byteLength(path.text) > protocolLimits.pathBytes)
      return `a path is longer than ${protocolLimits.pathBytes} bytes`
    return path.depth > protocolLimits.depth
      ? `a path has more than ${protocolLimits.depth} names`
      : path
  }

  /** Returns the path of an entry that this machine named; throws RangeError for `..` etc. */
  localChild(name: string): SafePath {
    if (isTraversal(name)) throw new RangeError("a local name leads out of its directory")
    return new SafePath(this, name, this.depth === 0 ? name : `${this.text}/${name}`)
  }

  /** The last name alone, as a path at the top level; the root for the root. */
  get base(): SafePath {
    return this.depth === 0 ? this : SafePath.root.localChild(this.name)
  }

  /** Returns the path of another name in the same folder, which this machine made. */
  sibling(name: string): SafePath {
    return this.parent.localChild(name)
  }

  /** Returns the text of the path. */
  toString(): string {
    return this.text
  }
}
