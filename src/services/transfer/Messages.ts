// Encodes and decodes the bodies of all frames but ENTRIES and content. Decoders return undefined
// for a malformed body. TRANSFER.md sections 2, 4 and 5.
import * as Utf8 from "../../bytes/Utf8.ts"
import { protocolLimits } from "./limits.ts"
import { SafePath } from "./SafePath.ts"

/** Treatment of a file whose name is taken by other content; the index is the byte on the wire. */
export const policies = ["refuse", "skip", "rename", "overwrite"] as const
export type Policy = (typeof policies)[number]

/** Treatment of symbolic links; the index is the byte on the wire. */
export const linkPolicies = ["skip", "follow", "keep"] as const
export type LinkPolicy = (typeof linkPolicies)[number]

/** The request of a PUSH frame. */
export interface PushRequest {
  readonly policy: Policy
  /** Requests answers only; nothing is changed. */
  readonly dry: boolean
}

/** policy (1) | dry (1). */
export const encodePush = ({ policy, dry }: PushRequest): Uint8Array =>
  Buffer.from([policies.indexOf(policy), dry ? 1 : 0])

export const decodePush = (body: Buffer): PushRequest | undefined => {
  const policy = policies[body[0] as number]
  return body.length === 2 && policy !== undefined && (body[1] as number) < 2
    ? { policy, dry: body[1] === 1 }
    : undefined
}

/** The request of a PULL frame. */
export interface PullRequest {
  readonly links: LinkPolicy
  /** Requests the manifest only. */
  readonly dry: boolean
  /** Paths below the served folder; the root is all of it. */
  readonly paths: ReadonlyArray<SafePath>
}

/** links (1) | dry (1) | 1 to 1,024 paths, each: length (u16) | path. */
export const encodePull = ({ links, dry, paths }: PullRequest): Uint8Array =>
  Buffer.concat([
    Buffer.from([linkPolicies.indexOf(links), dry ? 1 : 0]),
    ...paths.map(({ text }) => encodeText(text))
  ])

export const decodePull = (body: Buffer): PullRequest | undefined => {
  const links = linkPolicies[body[0] as number]
  if (links === undefined || body.length < 2 || (body[1] as number) > 1) return undefined
  const paths: Array<SafePath> = []
  for (let offset = 2; offset < body.length;) {
    const decoded = textAt(body, offset)
    if (decoded === undefined || paths.length === protocolLimits.pullNames) return undefined
    const path = decoded.text === "" ? SafePath.root : SafePath.parse(decoded.text)
    if (typeof path === "string") return undefined
    paths.push(path)
    offset = decoded.end
  }
  return paths.length === 0 ? undefined : { links, dry: body[1] === 1, paths }
}

/** Reasons why the sender leaves something out; the index is the byte on the wire. */
export const leftOutReasons = [
  "link",
  "special",
  "unreadable",
  "missing",
  "name",
  "unfinished",
  "changed",
  "outside",
  "twice"
] as const
export type LeftOutReason = (typeof leftOutReasons)[number]

/** Something that was requested and is not in the manifest. */
export interface LeftOut {
  readonly reason: LeftOutReason
  /** For display only: it may violate the rules for paths, and must not be used to open a file. */
  readonly path: string
}

/** reason (1) | length (u16) | path. */
export const encodeLeftOut = ({ reason, path }: LeftOut): Uint8Array =>
  Buffer.concat([
    Buffer.from([leftOutReasons.indexOf(reason)]),
    encodeText(Utf8.clip(path, protocolLimits.pathBytes))
  ])

export const decodeLeftOut = (body: Buffer): LeftOut | undefined => {
  const reason = leftOutReasons[body[0] as number]
  const decoded = textAt(body, 1)
  return reason === undefined || decoded === undefined || decoded.end !== body.length
    ? undefined
    : { reason, path: decoded.text }
}

/** Answers of the receiver to an entry; the index is the byte on the wire. */
export const answers = [
  "made",
  "want",
  "have",
  "compare",
  "differs",
  "exists",
  "skipped",
  "refused",
  "quota",
  "busy",
  "failed"
] as const
export type Answer = (typeof answers)[number]

/** True for an answer after which the entry gets no receipt. */
export const isFinal = (answer: Answer): boolean =>
  answers.indexOf(answer) > answers.indexOf("differs")

/** True for an answer to which the sender sends SMALLFILE, FILE or SKIP. */
export const needsReply = (answer: Answer): boolean => answer !== "made" && !isFinal(answer)

/** One byte for each entry, in the order of the manifest. */
export const encodeAnswers = (list: ReadonlyArray<Answer>): Uint8Array =>
  Buffer.from(list.map((answer) => answers.indexOf(answer)))

export const decodeAnswers = (body: Buffer): ReadonlyArray<Answer> | undefined => {
  const list = [...body].flatMap((byte) => answers[byte] ?? [])
  return list.length === body.length && list.length > 0 ? list : undefined
}

/** Outcomes of an entry; the index is the byte on the wire. */
export const outcomes = [
  "stored",
  "renamed",
  "same",
  "exists",
  "left",
  "damaged",
  "failed",
  "same as"
] as const
export type Outcome = (typeof outcomes)[number]

/** Outcomes with a path: the one it was stored under, or of a file with the same content. */
const outcomesWithPath: ReadonlySet<Outcome> = new Set(["renamed", "same as"])

/** The receiver's statement that an entry is durable, or why it is not. */
export interface Receipt {
  readonly index: number
  readonly outcome: Outcome
  /** The path for `renamed` and `same as`. */
  readonly path?: SafePath
}

/** index (u32) | outcome (1), and for `renamed` and `same as`: length (u16) | path. */
export const encodeReceipts = (receipts: ReadonlyArray<Receipt>): Uint8Array =>
  Buffer.concat(
    receipts.map(({ index, outcome, path = SafePath.root }) => {
      const bytes = Buffer.alloc(5)
      bytes.writeUInt32BE(index)
      bytes[4] = outcomes.indexOf(outcome)
      return outcomesWithPath.has(outcome) ? Buffer.concat([bytes, encodeText(path.text)]) : bytes
    })
  )

export const decodeReceipts = (body: Buffer): ReadonlyArray<Receipt> | undefined => {
  const receipts: Array<Receipt> = []
  for (let offset = 0; offset < body.length;) {
    const outcome = outcomes[body[offset + 4] as number]
    if (outcome === undefined) return undefined
    const index = body.readUInt32BE(offset)
    offset += 5
    if (!outcomesWithPath.has(outcome)) {
      receipts.push({ index, outcome })
      continue
    }
    const decoded = textAt(body, offset)
    if (decoded === undefined) return undefined
    const path = SafePath.parse(decoded.text)
    if (typeof path === "string") return undefined
    receipts.push({ index, outcome, path })
    offset = decoded.end
  }
  return receipts.length > 0 ? receipts : undefined
}

/** Reasons to stop a transfer; the index is the byte on the wire. */
export const stopReasons = [
  "diskFull",
  "goingAway",
  "forbidden",
  "tooMuch",
  "diskFailed",
  "notFound"
] as const
export type StopReason = (typeof stopReasons)[number]

/** reason (1). */
export const encodeStop = (reason: StopReason): Uint8Array =>
  Buffer.from([stopReasons.indexOf(reason)])

export const decodeStop = (body: Buffer): StopReason | undefined =>
  body.length === 1 ? stopReasons[body[0] as number] : undefined

/** entries (u32) | sum of all file sizes (u64). */
export const encodeManifestEnd = (entries: number, bytes: number): Uint8Array => {
  const body = Buffer.alloc(12)
  body.writeUInt32BE(entries)
  body.writeBigUInt64BE(BigInt(bytes), 4)
  return body
}

/** True if a MANIFESTEND frame states these totals. */
export const matchesTotals = (body: Buffer, entries: number, bytes: number): boolean =>
  Buffer.compare(body, encodeManifestEnd(entries, bytes)) === 0

/** Reasons why the sender skips a file; the index is the byte on the wire. */
export const skipReasons = ["same", "dry", "other", ...leftOutReasons] as const
export type SkipReason = (typeof skipReasons)[number]

/** The sender's statement that it does not send a file. */
export interface Skip {
  readonly index: number
  readonly reason: SkipReason
}

/** index (u32) | reason (1). */
export const encodeSkip = ({ index, reason }: Skip): Uint8Array => {
  const body = Buffer.alloc(5)
  body.writeUInt32BE(index)
  body[4] = skipReasons.indexOf(reason)
  return body
}

export const decodeSkip = (body: Buffer): Skip | undefined => {
  const reason = skipReasons[body[4] as number]
  return body.length === 5 && reason !== undefined
    ? { index: body.readUInt32BE(), reason }
    : undefined
}

const encodeText = (text: string): Buffer => {
  const bytes = Utf8.encode(text)
  const length = Buffer.alloc(2)
  length.writeUInt16BE(bytes.length)
  return Buffer.concat([length, bytes])
}

/** Decodes length (u16) | UTF-8 text. */
const textAt = (
  body: Buffer,
  offset: number
): { readonly text: string; readonly end: number } | undefined => {
  if (body.length - offset < 2) return undefined
  const end = offset + 2 + body.readUInt16BE(offset)
  if (end > body.length) return undefined
  const text = Utf8.decode(body.subarray(offset + 2, end))
  return text === undefined ? undefined : { text, end }
}
