// The header of a file: who can open it. FORMAT.md, "The header". Pure.
import { limits } from "./limits.ts"

/** To whom a file is: the members of its header, and what their stanzas are. */
export const kinds = {
  anonymous: { stanzaBytes: 80, most: limits.recipients },
  fileKey: { stanzaBytes: 104, most: 1 },
  passphrase: { stanzaBytes: 99, most: 1 },
  recipients: { stanzaBytes: 128, most: limits.recipients }
} as const

export type Kind = keyof typeof kinds

export interface Header {
  readonly kind: Kind
  readonly stanzas: ReadonlyArray<Uint8Array>
  /** Its payload is older than this header: others may have been able to read it. */
  readonly rekeyed: boolean
}

/** Members in alphabetical order, no blanks: the one spelling there is. */
export const encode = ({ kind, stanzas, rekeyed }: Header): Uint8Array =>
  Buffer.from(
    JSON.stringify({
      [kind]: stanzas.map((stanza) => Buffer.from(stanza).toString("base64url")),
      ...(rekeyed ? { rekeyed } : {})
    })
  )

/** The header, or undefined when the bytes are not exactly what `encode` gives for one. */
export const decode = (bytes: Uint8Array): Header | undefined => {
  if (bytes.length > limits.headerBytes) return undefined
  const header = parse(Buffer.from(bytes).toString("latin1"))
  return header !== undefined && Buffer.compare(encode(header), bytes) === 0 ? header : undefined
}

const parse = (text: string): Header | undefined => {
  const members = object(text)
  const kind = (Object.keys(kinds) as ReadonlyArray<Kind>).find((each) =>
    Object.hasOwn(members, each)
  )
  const list = kind === undefined ? undefined : members[kind]
  if (kind === undefined || !Array.isArray(list)) return undefined
  const { stanzaBytes, most } = kinds[kind]
  if (list.length === 0 || list.length > most) return undefined
  const stanzas = list.map((each) => Buffer.from(String(each), "base64url"))
  return stanzas.every(({ length }) => length === stanzaBytes)
    ? { kind, stanzas, rekeyed: members.rekeyed === true }
    : undefined
}

const object = (text: string): Readonly<Record<string, unknown>> => {
  try {
    return Object(JSON.parse(text)) as Readonly<Record<string, unknown>>
  } catch {
    return {}
  }
}
