// Names of files and folders: which ones a peer may send, where a link may lead, the order of a
// manifest, and the names of partial files. TRANSFER.md sections 3 and 6.
import * as Utf8 from "../../bytes/Utf8.ts"
import { protocolLimits } from "./limits.ts"

/** C0 controls, DEL and C1 controls: a terminal that prints them obeys them. */
const control = /[\u0000-\u001f\u007f-\u009f]/

/** `NAME.PEER-KIND SOURCE.part`, without the space: see `partialName`. */
const partial =
  /^(?<name>.*)\.(?<peer>[0-9a-f]{8})-(?<kind>[0-9a-z])(?<source>[0-9a-f]{15})\.part$/s

/** Returns the rule that a name of one file or folder breaks, as a clause; undefined if valid. */
export const nameProblem = (name: string): string | undefined => {
  if (name === "") return "a name is empty"
  if (name === "." || name === "..") return `a name is "${name}"`
  if (name.includes("/")) return 'a name contains "/"'
  if (name.includes("\\")) return 'a name contains "\\"'
  if (control.test(name)) return "a name contains a control character"
  if (/^[A-Za-z]:/.test(name)) return "a name begins with a drive letter"
  if (!Utf8.isWellFormed(name)) return "a name is not valid Unicode"
  if (Buffer.byteLength(name) > protocolLimits.nameBytes)
    return `a name is longer than ${protocolLimits.nameBytes} bytes`
  if (partial.test(name)) return "a name is reserved for partial files"
  return undefined
}

/**
 * Returns the reason to reject the target of a symbolic link in a folder `depth` levels below the
 * root; undefined if it cannot leave the root. Its `..` must come first and be at most `depth`:
 * after another name, `..` would be resolved relative to that name, which may be a link itself.
 */
export const targetProblem = (target: string, depth: number): string | undefined => {
  if (target === "") return "a link has no target"
  if (Buffer.byteLength(target) > protocolLimits.targetBytes)
    return `a link's target is longer than ${protocolLimits.targetBytes} bytes`
  if (control.test(target) || !Utf8.isWellFormed(target)) return "a link's target is not valid text"
  if (target.startsWith("/") || target.includes("\\") || /^[A-Za-z]:/.test(target))
    return "a link leads out of the folder"
  const names = target.split("/")
  const firstName = names.findIndex((name) => name !== ".." && name !== ".")
  const leading = firstName < 0 ? names : names.slice(0, firstName)
  if (leading.filter((name) => name === "..").length > depth)
    return "a link leads out of the folder"
  return firstName >= 0 && names.slice(firstName).includes("..")
    ? "a link may lead out of the folder"
    : undefined
}

/**
 * Returns a key that is equal for names which some file systems treat as the same name. Upper case
 * comes first: it makes one of letters with several lower-case forms, σ and ς, and SS of ß.
 */
export const collisionKey = (path: string): string =>
  path.normalize("NFC").toUpperCase().toLowerCase().normalize("NFC")

/** Orders paths as a manifest does, by their UTF-8 bytes: a folder directly before its content. */
export const compare = (a: string, b: string): number => {
  const [left, right] = [sortKey(a), sortKey(b)]
  return left < right ? -1 : left > right ? 1 : 0
}

/**
 * Returns a key of a path: the order of keys by UTF-16 code units, as of `<`, is that of a manifest.
 * It is the path itself unless it has `/` or a character from U+E000.
 */
export const sortKey = (path: string): string =>
  irregular.test(path) ? path.replaceAll(irregularUnits, sortUnit) : path

/** Code units whose order is not that of a manifest: `/`, surrogates, and those behind them. */
const irregular = /[/\ud800-\uffff]/
const irregularUnits = /[/\ud800-\uffff]/g

/**
 * Makes `/` sort below every character of a name, which never contains NUL. Puts surrogates behind
 * all other code units: UTF-8 has their characters there.
 */
const sortUnit = (unit: string): string => {
  const code = unit.charCodeAt(0)
  return String.fromCharCode(unit === "/" ? 0 : code < 0xe000 ? code + 0x2000 : code - 0x800)
}

/**
 * The kinds of partial files: `0` is of use to one session only, `1` can be resumed by a later one.
 * `2` is the lock of a `1`, and `3` a lock that is being made.
 */
export type PartialKind = "0" | "1" | "2" | "3"

/** True for the name of a lock. */
export const isLock = (name: string): boolean =>
  ["2", "3"].includes(parsePartialName(name)?.kind ?? "")

/** The parts of a partial file's name. */
export interface PartialName {
  /** The final name, or its beginning. */
  readonly name: string
  /** Tag of the sender: eight hexadecimal digits. */
  readonly peer: string
  readonly kind: string
  /** Fifteen hexadecimal digits that identify the source file, or random ones for kind `0`. */
  readonly source: string
}

/** Returns the name of a partial file; cuts `name` to stay within 255 bytes. */
export const partialName = (
  name: string,
  peer: string,
  kind: PartialKind,
  source: string
): string => {
  const suffix = `.${peer}-${kind}${source}.part`
  let stem = name
  while (Buffer.byteLength(stem) + suffix.length > protocolLimits.nameBytes)
    stem = [...stem].slice(0, -1).join("")
  return stem + suffix
}

/** Parses the name of a partial file; undefined for any other name. */
export const parsePartialName = (name: string): PartialName | undefined =>
  partial.exec(name)?.groups as unknown as PartialName | undefined

/** Decodes the name of a partial file; undefined for any other name. */
export const partialNameOf = (bytes: Buffer): string | undefined => {
  // A folder may have many other names: most are told apart without decoding them.
  if (bytes.toString("latin1", Math.max(0, bytes.length - 5)) !== ".part") return undefined
  // A name that is not UTF-8 is not that of a partial file: those are made of valid names.
  const name = Utf8.decode(bytes)
  return name !== undefined && partial.test(name) ? name : undefined
}

/** Adds a number to a name: `report.txt` becomes `report (1).txt`. Stays within 255 bytes. */
export const numbered = (name: string, count: number): string => {
  const dot = name.lastIndexOf(".")
  const [stem, extension] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ""]
  const suffix = ` (${count})${extension}`
  let shortened = stem
  while (
    Buffer.byteLength(shortened) + Buffer.byteLength(suffix) > protocolLimits.nameBytes &&
    shortened.length > 1
  )
    shortened = [...shortened].slice(0, -1).join("")
  return shortened + suffix
}
