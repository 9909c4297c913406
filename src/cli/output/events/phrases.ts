// Phrases and JSON fields that several events share.
import * as Utf8 from "../../../bytes/Utf8.ts"
import * as UtcDate from "../../../keys/UtcDate.ts"
import * as PublicKey from "../../../keys/PublicKey.ts"
import type { ServerKey } from "../../../peers/KnownPeers.ts"
import type { Counters, RemotePeer } from "../../../services/Service.ts"

/** `1 message`, `1,234 messages`. */
export const plural = (count: number, one: string): string =>
  `${count.toLocaleString("en-US")} ${one}${count === 1 ? "" : "s"}`

/** `1,023 bytes`, `4.0 KiB`, `12.3 GiB`. */
export const formatBytes = (bytes: number): string => {
  if (bytes < 1024) return plural(bytes, "byte")
  const power = Math.min(4, Math.floor(Math.log2(bytes) / 10))
  return `${(bytes / 1024 ** power).toFixed(1)} ${["", "K", "M", "G", "T"][power] ?? ""}iB`
}

/** Counters whose name is not a plural noun. */
const counterPhrases: Readonly<Record<string, (count: string) => string>> = {
  bytesIn: (count) => `${count} bytes in`,
  bytesOut: (count) => `${count} bytes out`,
  filesSent: (count) => `${count} files sent`,
  bytesSent: (count) => `${count} bytes sent`
}

/** `{ messages: 3, bytes: 1 }` is "3 messages, 1 byte"; without counters the text is empty. */
export const formatCounters = (counted: Readonly<Counters>): string =>
  Object.entries(counted)
    .map(
      ([name, count]) =>
        counterPhrases[name]?.(count.toLocaleString("en-US")) ??
        plural(count, name.replace(/s$/, ""))
    )
    .join(", ")

/** The counters in parentheses, with a leading blank; empty without counters. */
export const countersSuffix = (counted: Readonly<Counters>): string => {
  const text = formatCounters(counted)
  return text === "" ? "" : ` (${text})`
}

/** A message as `text` where it is UTF-8, else as `base64`. */
export const contentFields = (bytes: Uint8Array): Readonly<Record<string, unknown>> => {
  const text = Utf8.decode(bytes)
  return text === undefined ? { base64: Buffer.from(bytes).toString("base64") } : { text }
}

export const keyFields = (publicKey: Uint8Array | undefined) =>
  publicKey === undefined
    ? {}
    : { publicKey: PublicKey.encode(publicKey), fingerprint: PublicKey.fingerprint(publicKey) }

export const senderFields = ({ peer, from, publicKey, suite }: RemotePeer) => ({
  peer,
  from,
  suite,
  ...keyFields(publicKey)
})

/** `alice (10.0.0.7:41356)`; the address alone for a peer without a name. */
export const formatSender = ({ peer, from }: Pick<RemotePeer, "peer" | "from">): string =>
  peer === from ? from : `${peer} (${from})`

export const formatServerKey = ({ publicKey, retires }: ServerKey): string =>
  `${PublicKey.fingerprint(publicKey)}${retires === undefined ? "" : ` (retires ${UtcDate.format(retires)})`}`

export const serverKeyFields = ({ publicKey, retires }: ServerKey) => ({
  ...keyFields(publicKey),
  ...(retires === undefined ? {} : { retiresAt: new Date(retires).toISOString() })
})
