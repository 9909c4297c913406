// Names that a peer sends, and where they may lead. They are hostile until they have been through here. TRANSFER.md section 3.
import { protocolLimits } from "./limits.ts"

/** C0 controls, DEL and C1 controls: no careful person has them in a name, and a terminal obeys them. */
const control = /[\u0000-\u001f\u007f-\u009f]/

/** Two surrogates make one character; one alone is no text. */
const loneSurrogate = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/

/** An unfinished file of ours: its name, who sends it, which source it is. */
const part = /^(?<name>.*)\.(?<peer>[0-9a-f]{8})-(?<kind>[0-9a-z])(?<source>[0-9a-f]{15})\.part$/s

/** Why a name of one file or folder is refused, as a clause; undefined for a good one. */
export const nameProblem = (name: string): string | undefined => {
  if (name === "") return "a name is empty"
  if (name === "." || name === "..") return `a name is "${name}"`
  if (name.includes("/")) return "a name has a / in it"
  if (name.includes("\\")) return "a name has a \\ in it"
  if (control.test(name)) return "a name has a control character in it"
  if (/^[A-Za-z]:/.test(name)) return "a name begins with a drive letter"
  if (loneSurrogate.test(name)) return "a name is no text"
  if (Buffer.byteLength(name) > protocolLimits.nameBytes)
    return `a name has more than ${protocolLimits.nameBytes} bytes`
  if (part.test(name)) return "a name is that of an unfinished transfer"
  return undefined
}

/** The names of a path, which is relative; or why it is refused. */
export const parse = (path: string): ReadonlyArray<string> | string => {
  if (Buffer.byteLength(path) > protocolLimits.pathBytes)
    return `a path has more than ${protocolLimits.pathBytes} bytes`
  const names = path.split("/")
  if (names.length > protocolLimits.depth)
    return `a path has more than ${protocolLimits.depth} names`
  for (const name of names) {
    const refused = nameProblem(name)
    if (refused !== undefined) return path.startsWith("/") ? "a path is absolute" : refused
  }
  return names
}

/**
 * Why a symbolic link in a folder `depth` below the top is refused; undefined where it stays below the top: first `..`, no more than the
 * link is deep, and none behind another name, because that name may be a link itself.
 */
export const targetProblem = (target: string, depth: number): string | undefined => {
  if (target === "") return "a link leads nowhere"
  if (Buffer.byteLength(target) > protocolLimits.targetBytes) return "a link has too long a target"
  if (control.test(target) || loneSurrogate.test(target)) return "a link's target is no text"
  if (target.startsWith("/") || target.includes("\\") || /^[A-Za-z]:/.test(target))
    return "a link leads out of the folder"
  const names = target.split("/")
  const down = names.findIndex((name) => name !== ".." && name !== ".")
  const up = (down < 0 ? names : names.slice(0, down)).filter((name) => name === "..").length
  if (up > depth) return "a link leads out of the folder"
  return down >= 0 && names.slice(down).includes("..")
    ? "a link may lead out of the folder"
    : undefined
}

/** Names that some file systems take for one: the same in this form. */
export const collisionKey = (path: string): string =>
  path.normalize("NFC").toLowerCase().normalize("NFC")

/** The order of a manifest, by the bytes of UTF-8: a folder before what is in it, and that together. */
export const compare = (a: string, b: string): number => {
  const [left, right] = [orderOf(a), orderOf(b)]
  // Code units stand in another order than bytes where there are surrogates.
  if (surrogate.test(left) || surrogate.test(right))
    return Buffer.compare(Buffer.from(left), Buffer.from(right))
  return left < right ? -1 : left > right ? 1 : 0
}

const surrogate = /[\ud800-\udfff]/

/** No name has a NUL, so that a / counts as less than any character of a name. */
const orderOf = (path: string): string => path.replaceAll("/", "\u0000")

export interface PartialName {
  /** The name it will have, or its beginning. */
  readonly name: string
  /** Who sends it: eight hexadecimal digits. */
  readonly peer: string
  /** `0`: made by one session, and of no use to another. `1`: kept for the next. */
  readonly kind: string
  readonly source: string
}

/** The name of an unfinished file, within what a file system takes. */
export const partialName = (
  name: string,
  peer: string,
  kind: "0" | "1",
  source: string
): string => {
  const suffix = `.${peer}-${kind}${source}.part`
  let stem = name
  while (Buffer.byteLength(stem) + suffix.length > protocolLimits.nameBytes)
    stem = [...stem].slice(0, -1).join("")
  return stem + suffix
}

export const parsePartialName = (name: string): PartialName | undefined =>
  part.exec(name)?.groups as unknown as PartialName | undefined

/** `report.txt` becomes `report (1).txt`. */
export const numbered = (name: string, count: number): string => {
  const dot = name.lastIndexOf(".")
  const [stem, ending] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ""]
  const suffix = ` (${count})${ending}`
  let shorter = stem
  while (
    Buffer.byteLength(shorter) + Buffer.byteLength(suffix) > protocolLimits.nameBytes &&
    shorter.length > 1
  )
    shorter = [...shorter].slice(0, -1).join("")
  return shorter + suffix
}
