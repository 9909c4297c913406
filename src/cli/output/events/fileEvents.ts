// The words about encrypted files.
import * as LogLevel from "effect/LogLevel"
import type { Kind } from "../../../files/Header.ts"
import type { Origin } from "../../../files/EncryptedFile.ts"
import * as PublicKey from "../../../keys/PublicKey.ts"
import type { ProgressLine } from "../ProgressLine.ts"
import { keyFields, plural, formatBytes } from "./phrases.ts"
import type { EventTexts } from "./EventText.ts"

/** What happens to files. */
export type FileEvents = {
  FileEncrypted: {
    readonly file: string
    readonly output: string
    readonly to: string
    readonly recipients: number
  }
  FileDecrypted: {
    readonly file: string
    readonly output: string
    readonly origin: Origin | undefined
    /** Who that is in the peers files. */
    readonly name: string | undefined
  }
  FileRekeyed: FileEvents["FileEncrypted"]
  FileReencrypted: FileEvents["FileEncrypted"]
}

export const fileTexts: EventTexts<FileEvents> = {
  FileEncrypted: {
    code: "file-encrypted",
    level: LogLevel.Debug,
    line: ({ file, output, to, recipients }) =>
      `encrypted ${file} to ${output} ${describeRecipients(to, recipients)}`,
    fields: ({ file, output, to, recipients }) => ({ file, output, to, recipients })
  },
  FileDecrypted: {
    code: "file-decrypted",
    level: LogLevel.Info,
    line: ({ file, origin, name }) =>
      origin === undefined ? undefined : fromWhom(file, origin, name),
    fields: ({ file, output, origin, name }) => ({
      file,
      output,
      ...(origin === undefined
        ? {}
        : { to: origin.kind, recipients: origin.recipients, rekeyed: origin.rekeyed }),
      ...(origin?.sender === undefined
        ? {}
        : { sender: { ...(name === undefined ? {} : { name }), ...keyFields(origin.sender) } })
    })
  },
  FileRekeyed: {
    code: "file-rekeyed",
    level: LogLevel.Warning,
    line: ({ output, to, recipients }) =>
      `from now on ${output} is ${describeRecipients(to, recipients)}; who could read it before may have kept the key of its content, or the file as ` +
      "it was: --deep encrypts the content anew",
    fields: ({ file, output, to, recipients }) => ({ file, output, to, recipients, deep: false })
  },
  FileReencrypted: {
    code: "file-rekeyed",
    level: LogLevel.Info,
    line: ({ output, to, recipients }) =>
      `${output} is encrypted anew, ${describeRecipients(to, recipients)}; copies of the file as it was open as before`,
    fields: ({ file, output, to, recipients }) => ({ file, output, to, recipients, deep: true })
  }
}

/** "for 2 recipients, who learn who wrote it" */
export const describeRecipients = (kind: Kind | string, recipients: number): string =>
  ({
    fileKey: "for whoever has its file key",
    passphrase: "for whoever knows its passphrase",
    recipients: `for ${plural(recipients, "recipient")}, who learn${recipients === 1 ? "s" : ""} who wrote it`,
    anonymous: `for ${plural(recipients, "recipient")}; who wrote it is not in it`
  })[kind as Kind] ?? kind

/** What the head proves of the writer, and what it does not. FORMAT.md. */
const fromWhom = (
  file: string,
  { sender, reader, recipients, rekeyed }: Origin,
  name: string | undefined
): string | undefined => {
  if (sender === undefined) return undefined
  const own = reader !== undefined && Buffer.compare(sender, reader) === 0
  const who = own
    ? "the identity that opens it"
    : name === undefined
      ? `an unknown key, ${PublicKey.encode(sender)}`
      : `${name} (${PublicKey.fingerprint(sender)})`
  const others = [
    ...(recipients > 1 ? [`each of its ${recipients.toLocaleString("en-US")} recipients`] : []),
    ...(rekeyed ? ["whoever could read it before it was rekeyed"] : [])
  ]
  return `${file} is from ${who}${others.length === 0 ? "" : `; ${others.join(" and ")} could have changed what is in it`}`
}

/** 1:05, 2:00:03 */
const clock = (seconds: number): string => {
  const whole = Math.ceil(seconds)
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  const shown = parts[0] === 0 ? parts.slice(1) : parts
  return shown
    .map((part, index) => (index === 0 ? String(part) : String(part).padStart(2, "0")))
    .join(":")
}

const barWidth = 24

/** How far a file is: a bar, the share, the rate, and the time left at the rate so far. */
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
    const left = done === 0 ? "" : `  ${clock(((total - done) * seconds) / done)} left`
    return `[${bar}] ${Math.floor(share * 100)}%  ${formatBytes(done)} of ${formatBytes(total)}  ${rate}${left}`
  }
})
