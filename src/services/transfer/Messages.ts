// What stands in the bodies of the frames that are words. Pairs stand together. TRANSFER.md sections 3 to 6.
import * as Names from "./Names.ts"
import { protocolLimits } from "./limits.ts"

/** What happens to a file whose name is there already, with other content. */
export const policies = ["refuse", "skip", "rename", "overwrite"] as const
export type Policy = (typeof policies)[number]

/** What becomes of symbolic links. */
export const linkPolicies = ["skip", "follow", "keep"] as const
export type LinkPolicy = (typeof linkPolicies)[number]

export interface PushRequest {
  readonly policy: Policy
  /** Only answers are wanted. */
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

export interface PullRequest {
  readonly links: LinkPolicy
  /** Only the manifest is wanted. */
  readonly dry: boolean
  /** Paths below the folder that is served; one that is empty is all of it. */
  readonly names: ReadonlyArray<string>
}

/** links (1) | dry (1) | names, each: length (u16) | path. */
export const encodePull = ({ links, dry, names }: PullRequest): Uint8Array =>
  Buffer.concat([Buffer.from([linkPolicies.indexOf(links), dry ? 1 : 0]), ...names.map(encodeText)])

export const decodePull = (body: Buffer): PullRequest | undefined => {
  const links = linkPolicies[body[0] as number]
  if (links === undefined || body.length < 2 || (body[1] as number) > 1) return undefined
  const names: Array<string> = []
  for (let at = 2; at < body.length;) {
    const text = textAt(body, at)
    if (text === undefined || names.length === protocolLimits.pullNames) return undefined
    if (text.text !== "" && typeof Names.parse(text.text) === "string") return undefined
    names.push(text.text)
    at = text.end
  }
  return names.length === 0 ? undefined : { links, dry: body[1] === 1, names }
}

/** Why something of the sender's is not in the manifest, or is not sent although it is. */
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

export interface LeftOut {
  readonly reason: LeftOutReason
  readonly path: string
}

/** reason (1) | length (u16) | path. The path is to be shown, and leads nowhere. */
export const encodeLeftOut = ({ reason, path }: LeftOut): Uint8Array =>
  Buffer.concat([Buffer.from([leftOutReasons.indexOf(reason)]), encodeText(path.slice(0, 4096))])

export const decodeLeftOut = (body: Buffer): LeftOut | undefined => {
  const reason = leftOutReasons[body[0] as number]
  const text = textAt(body, 1)
  return reason === undefined || text === undefined || text.end !== body.length
    ? undefined
    : { reason, path: text.text }
}

/** What the receiver says of an entry when it has looked. `made`, `want`, `have` and `compare` have a receipt later; the others are the last word. */
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

/** True for an answer that is the last word. */
export const isFinal = (answer: Answer): boolean =>
  answers.indexOf(answer) > answers.indexOf("differs")

/** True for an answer to which the sender has something to say. */
export const needsReply = (answer: Answer): boolean => answer !== "made" && !isFinal(answer)

/** One byte each, in the order of the manifest. */
export const encodeAnswers = (said: ReadonlyArray<Answer>): Uint8Array =>
  Buffer.from(said.map((answer) => answers.indexOf(answer)))

export const decodeAnswers = (body: Buffer): ReadonlyArray<Answer> | undefined => {
  const said = [...body].flatMap((byte) => answers[byte] ?? [])
  return said.length === body.length ? said : undefined
}

/** What became of an entry. */
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

/** Outcomes that name a path: what it was stored as, or what is the same. */
const withPath: ReadonlySet<Outcome> = new Set(["renamed", "same as"])

export interface Receipt {
  readonly index: number
  readonly outcome: Outcome
  /** Of `renamed` and `same as`: the path it has. */
  readonly path?: string
}

/** index (u32) | outcome (1); for `renamed` and `same as` length (u16) | path behind it. */
export const encodeReceipts = (receipts: ReadonlyArray<Receipt>): Uint8Array =>
  Buffer.concat(
    receipts.map(({ index, outcome, path }) => {
      const bytes = Buffer.alloc(5)
      bytes.writeUInt32BE(index)
      bytes[4] = outcomes.indexOf(outcome)
      return withPath.has(outcome) ? Buffer.concat([bytes, encodeText(path ?? "")]) : bytes
    })
  )

export const decodeReceipts = (body: Buffer): ReadonlyArray<Receipt> | undefined => {
  const receipts: Array<Receipt> = []
  for (let at = 0; at < body.length;) {
    const outcome = outcomes[body[at + 4] as number]
    if (outcome === undefined) return undefined
    const index = body.readUInt32BE(at)
    at += 5
    if (!withPath.has(outcome)) {
      receipts.push({ index, outcome })
      continue
    }
    const text = textAt(body, at)
    if (text === undefined || typeof Names.parse(text.text) === "string") return undefined
    receipts.push({ index, outcome, path: text.text })
    at = text.end
  }
  return receipts
}

/** Why a side goes no further. */
export const stopReasons = ["full", "leaving", "access", "many", "disk", "none"] as const
export type StopReason = (typeof stopReasons)[number]

export const encodeStop = (reason: StopReason): Uint8Array =>
  Buffer.from([stopReasons.indexOf(reason)])

export const decodeStop = (body: Buffer): StopReason | undefined =>
  body.length === 1 ? stopReasons[body[0] as number] : undefined

/** entries (u32) | bytes (u64). */
export const encodeManifestEnd = (entries: number, bytes: number): Uint8Array => {
  const body = Buffer.alloc(12)
  body.writeUInt32BE(entries)
  body.writeBigUInt64BE(BigInt(bytes), 4)
  return body
}

export const matchesTotals = (body: Buffer, entries: number, bytes: number): boolean =>
  Buffer.compare(body, encodeManifestEnd(entries, bytes)) === 0

/** What the sender says of a file that it does not send: it is the same, nothing is to be sent, or why not. */
export const skipReasons = ["same", "dry", "other", ...leftOutReasons] as const
export type SkipReason = (typeof skipReasons)[number]

/** index (u32) | why (1). */
export const encodeSkip = (index: number, why: SkipReason): Uint8Array => {
  const body = Buffer.alloc(5)
  body.writeUInt32BE(index)
  body[4] = skipReasons.indexOf(why)
  return body
}

export const decodeSkip = (
  body: Buffer
): { readonly index: number; readonly why: SkipReason } | undefined => {
  const why = skipReasons[body[4] as number]
  return body.length === 5 && why !== undefined ? { index: body.readUInt32BE(), why } : undefined
}

const encodeText = (text: string): Buffer => {
  const bytes = Buffer.from(text)
  const length = Buffer.alloc(2)
  length.writeUInt16BE(bytes.length)
  return Buffer.concat([length, bytes])
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const textAt = (
  body: Buffer,
  at: number
): { readonly text: string; readonly end: number } | undefined => {
  if (body.length - at < 2) return undefined
  const end = at + 2 + body.readUInt16BE(at)
  if (end > body.length) return undefined
  try {
    return { text: utf8.decode(body.subarray(at + 2, end)), end }
  } catch {
    return undefined
  }
}
