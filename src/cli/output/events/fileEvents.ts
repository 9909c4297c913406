// Events of encrypted files.
import * as LogLevel from "effect/LogLevel"
import type { Kind } from "../../../files/Header.ts"
import type { Origin } from "../../../files/EncryptedFile.ts"
import * as PublicKey from "../../../keys/PublicKey.ts"
import type { ProgressLine } from "../ProgressLine.ts"
import { keyFields, plural, formatBytes } from "./phrases.ts"
import type { EventTexts } from "./EventText.ts"

/** A format without a header, which names no recipient. */
export type RawFormat = "raw" | "openssl"

export type FileEvents = {
  FileEncrypted: {
    readonly file: string
    readonly output: string
    /** The kind of the header; the format of a file without one. */
    readonly to: Kind | RawFormat
    readonly recipients: number
  }
  FileDecrypted: {
    readonly file: string
    readonly output: string
    readonly origin: Origin | undefined
    /** The sender's name in the peers files. */
    readonly name: string | undefined
  }
  FileRekeyed: FileEvents["FileEncrypted"]
  FileReencrypted: FileEvents["FileEncrypted"]
}

/** The value of `recipientType` in JSON. Part of the interface. */
export const recipientTypes: Readonly<Record<Kind | RawFormat, string>> = {
  fileKey: "file-key",
  passphrase: "passphrase",
  recipients: "recipients",
  anonymous: "anonymous",
  raw: "raw",
  openssl: "openssl"
}

const fileFields = ({ file, output, to, recipients }: FileEvents["FileEncrypted"]) => ({
  file,
  output,
  recipientType: recipientTypes[to],
  recipients
})

export const fileTexts: EventTexts<FileEvents> = {
  FileEncrypted: {
    code: "file-encrypted",
    level: LogLevel.Debug,
    line: ({ file, output, to, recipients }) =>
      `encrypted ${file} to ${output} (${describeRecipients(to, recipients)})`,
    fields: fileFields
  },
  FileDecrypted: {
    code: "file-decrypted",
    level: LogLevel.Info,
    line: ({ file, origin, name }) =>
      origin === undefined ? undefined : describeSender(file, origin, name),
    fields: ({ file, output, origin, name }) => ({
      file,
      output,
      ...(origin === undefined
        ? {}
        : {
            recipientType: recipientTypes[origin.kind],
            recipients: origin.recipients,
            rekeyed: origin.rekeyed
          }),
      ...(origin?.sender === undefined
        ? {}
        : { sender: { ...(name === undefined ? {} : { name }), ...keyFields(origin.sender) } })
    })
  },
  FileRekeyed: {
    code: "file-rekeyed",
    level: LogLevel.Warning,
    line: ({ output, to, recipients }) =>
      `${output}: now ${describeRecipients(to, recipients)}; removed recipients may still have ` +
      "the old content key or a copy, use --deep to re-encrypt the content",
    fields: (rekeyed) => ({ ...fileFields(rekeyed), deep: false })
  },
  FileReencrypted: {
    code: "file-rekeyed",
    level: LogLevel.Info,
    line: ({ output, to, recipients }) =>
      `${output}: re-encrypted, now ${describeRecipients(to, recipients)}; ` +
      "earlier copies can still be decrypted by their recipients",
    fields: (reencrypted) => ({ ...fileFields(reencrypted), deep: true })
  }
}

/** "2 recipients, sender identified" */
export const describeRecipients = (kind: Kind | RawFormat, recipients: number): string =>
  ({
    fileKey: "file key",
    passphrase: "passphrase",
    recipients: `${plural(recipients, "recipient")}, sender identified`,
    anonymous: `${plural(recipients, "recipient")}, anonymous sender`,
    raw: "raw, without a header",
    openssl: "openssl enc format"
  })[kind]

/** Describes the proven sender and who could have forged the content. See FORMAT.md. */
const describeSender = (
  file: string,
  { sender, reader, recipients, rekeyed }: Origin,
  name: string | undefined
): string | undefined => {
  if (sender === undefined) return undefined
  const isOwn = reader !== undefined && Buffer.compare(sender, reader) === 0
  const who = isOwn
    ? "yourself (the identity that decrypts it)"
    : name === undefined
      ? `an unknown key (${PublicKey.encode(sender)})`
      : `${name} (${PublicKey.fingerprint(sender)})`
  const forgers = [
    ...(recipients > 1 ? [`any of its ${recipients.toLocaleString("en-US")} recipients`] : []),
    ...(rekeyed ? ["anyone who could decrypt it before the rekey"] : [])
  ]
  return `${file} is from ${who}${forgers.length === 0 ? "" : `; ${forgers.join(" or ")} could have forged the content`}`
}

/** 1:05, 2:00:03 */
const formatClock = (seconds: number): string => {
  const whole = Math.ceil(seconds)
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  const shown = parts[0] === 0 ? parts.slice(1) : parts
  return shown
    .map((part, index) => (index === 0 ? String(part) : String(part).padStart(2, "0")))
    .join(":")
}

const barWidth = 24

/** The progress line of a file: bar, share, rate, and remaining time at the average rate. */
export const fileProgress = (
  done: number,
  total: number | undefined,
  seconds: number
): ProgressLine => ({
  count: done,
  line: (perSecond) => {
    const rate = `${formatBytes(perSecond)}/s`
    if (total === undefined || total === 0) return `${formatBytes(done)}  ${rate}`
    const share = Math.min(1, done / total)
    const bar = "#".repeat(Math.round(share * barWidth)).padEnd(barWidth, ".")
    const left = done === 0 ? "" : `  ${formatClock(((total - done) * seconds) / done)} left`
    return `[${bar}] ${Math.floor(share * 100)}%  ${formatBytes(done)} of ${formatBytes(total)}  ${rate}${left}`
  }
})
