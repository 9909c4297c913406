// The header of a file: the stanzas of its recipients. FORMAT.md, "The header". Pure.
import { limits } from "./limits.ts"

/** The kinds of recipients: the members of a header, and the bounds of their stanzas. */
export const kinds = {
  anonymous: { stanzaBytes: 80, maxStanzas: limits.recipients },
  fileKey: { stanzaBytes: 104, maxStanzas: 1 },
  passphrase: { stanzaBytes: 99, maxStanzas: 1 },
  recipients: { stanzaBytes: 128, maxStanzas: limits.recipients }
} as const

export type Kind = keyof typeof kinds

export interface Header {
  readonly kind: Kind
  readonly stanzas: ReadonlyArray<Uint8Array>
  /** True when the payload is older than this header: others may have been able to read it. */
  readonly rekeyed: boolean
}

/** Encodes the only valid spelling: members in alphabetical order, without blanks. */
export const encode = ({ kind, stanzas, rekeyed }: Header): Uint8Array =>
  Buffer.from(
    JSON.stringify({
      [kind]: stanzas.map((stanza) => Buffer.from(stanza).toString("base64url")),
      ...(rekeyed ? { rekeyed } : {})
    })
  )

/** Decodes a header; undefined unless `encode` gives exactly these bytes for it. */
export const decode = (bytes: Uint8Array): Header | undefined => {
  if (bytes.length > limits.headerBytes) return undefined
  const header = parse(Buffer.from(bytes).toString("latin1"))
  return header !== undefined && Buffer.compare(encode(header), bytes) === 0 ? header : undefined
}

const parse = (text: string): Header | undefined => {
  const members = parseObject(text)
  const kind = (Object.keys(kinds) as ReadonlyArray<Kind>).find((name) =>
    Object.hasOwn(members, name)
  )
  const list = kind === undefined ? undefined : members[kind]
  if (kind === undefined || !Array.isArray(list)) return undefined
  const { stanzaBytes, maxStanzas } = kinds[kind]
  if (list.length === 0 || list.length > maxStanzas) return undefined
  // A member that is no text may be nested so deeply that converting it overflows the stack.
  const texts = list.filter((stanza): stanza is string => typeof stanza === "string")
  if (texts.length < list.length) return undefined
  const stanzas = texts.map((stanza) => Buffer.from(stanza, "base64url"))
  return stanzas.every(({ length }) => length === stanzaBytes)
    ? { kind, stanzas, rekeyed: members.rekeyed === true }
    : undefined
}

const parseObject = (text: string): Readonly<Record<string, unknown>> => {
  try {
    return Object(JSON.parse(text)) as Readonly<Record<string, unknown>>
  } catch {
    return {}
  }
}
