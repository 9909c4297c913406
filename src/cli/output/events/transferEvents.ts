// What there is to say of files that travel, and the words for it.
import * as LogLevel from "effect/LogLevel"
import * as Printable from "../../../bytes/Printable.ts"
import type { RemotePeer } from "../../../services/Service.ts"
import type { NextStep } from "../../../services/transfer/TransferErrors.ts"
import { plural, formatBytes, formatSender } from "./phrases.ts"
import type { EventTexts } from "./EventText.ts"

/** What may become of an entry, and what is said of it; `left` is true where it did not arrive. */
export const outcomes = {
  stored: { left: false, line: "stored" },
  renamed: { left: false, line: "stored under another name, because its own is taken" },
  same: { left: false, line: "there already" },
  made: { left: false, line: "there" },
  skipped: { left: false, line: "skipped: the name is taken" },
  exists: {
    left: true,
    line: "something else has its name there; --overwrite, --rename or --skip says what to do"
  },
  refused: { left: true, line: "the rules for our key do not allow it" },
  quota: { left: true, line: "it does not fit into what our key may store there" },
  busy: { left: true, line: "another transfer of the same file is under way" },
  failed: { left: true, line: "the disk refused" },
  damaged: { left: true, line: "what arrived is not what was sent; it was thrown away" },
  changed: {
    left: true,
    line: "it changed while it was read; the same command sends it as it is now"
  },
  unreadable: { left: true, line: "it cannot be read" },
  missing: { left: true, line: "it is not there" },
  none: { left: true, line: "there is nothing of that name" },
  name: { left: true, line: "its name has a character that no name should have, or is too long" },
  twice: { left: true, line: "another that is sent has the same name" },
  outside: { left: true, line: "it is a symbolic link that leads out of the folder" },
  link: { left: false, line: "left out: a symbolic link (--symlinks follow or keep sends it)" },
  special: { left: false, line: "left out: neither a file nor a folder" },
  unfinished: { left: false, line: "left out: an unfinished transfer" }
} as const
export type Outcome = keyof typeof outcomes

const rules: ReadonlySet<Outcome> = new Set(["refused", "quota"])
const again: ReadonlySet<Outcome> = new Set(["busy", "failed", "damaged", "changed", "missing"])

/** What helps those that did not arrive. The same command goes on where it helps one of them; else somebody must change something. */
export const nextStepFor = (left: ReadonlyArray<Outcome>): NextStep =>
  left.every((fate) => rules.has(fate))
    ? "rules"
    : left.some((fate) => again.has(fate))
      ? "again"
      : "change"

/** What would happen in a trial run, as a word. */
export interface PlannedEntry {
  readonly what: string
  readonly path: string
  readonly kind: string
  readonly bytes: number
  /** What is there and the same, where that has another name. */
  readonly as?: string
}

export type TransferEvents = {
  TransferPlanned: {
    readonly files: number
    readonly folders: number
    readonly links: number
    readonly bytes: number
  }
  ListingReceived: { readonly names: ReadonlyArray<string>; readonly more: number }
  EntryPlanned: PlannedEntry
  FileCompleted: {
    readonly path: string
    readonly bytes: number
    readonly fate: Outcome
    readonly as?: string
  }
  EntryOmitted: { readonly path: string; readonly fate: Outcome }
  DiskFailed: { readonly text: string }
  TransferEnded: Totals & { readonly verb: "pushed" | "pulled"; readonly address: string }
  FilesStored: {
    readonly sender: RemotePeer
    readonly files: ReadonlyArray<{ readonly path: string; readonly bytes: number }>
  }
  FileFailed: { readonly sender: RemotePeer; readonly text: string }
}

export interface Totals {
  /** Files that travelled, and bytes of all that did. */
  readonly files: number
  readonly bytes: number
  /** Files that were there already, or whose name was. */
  readonly same: number
  readonly skipped: number
}

/** `send     4.0 KiB  docs/a.txt` */
export const plannedEntryLine = ({ what, path, kind, bytes, as }: PlannedEntry): string =>
  `${what.padEnd(8)}${(kind === "file" ? formatBytes(bytes) : kind).padStart(12)}  ${Printable.line(path)}` +
  `${as === undefined ? "" : ` (${Printable.line(as)})`}\n`

export const transferTexts: EventTexts<TransferEvents> = {
  TransferPlanned: {
    code: "transfer-planned",
    level: LogLevel.Debug,
    line: ({ files, folders, bytes }) =>
      `${plural(files, "file")} in ${plural(folders, "folder")}, ${formatBytes(bytes)}`,
    fields: ({ files, folders, links, bytes }) => ({ files, folders, links, bytes })
  },
  ListingReceived: {
    code: "listing-received",
    level: LogLevel.Info,
    line: ({ names, more }) =>
      `everything there: ${names.length === 0 ? "nothing" : names.map(Printable.line).join(", ")}` +
      `${more === 0 ? "" : ` and ${more.toLocaleString("en-US")} more`}`,
    fields: ({ names, more }) => ({ names, more })
  },
  EntryPlanned: {
    code: "entry-planned",
    level: LogLevel.Info,
    line: () => undefined,
    fields: ({ what, path, kind, bytes, as }) => ({
      what,
      path,
      kind,
      bytes,
      ...(as === undefined ? {} : { as })
    })
  },
  FileCompleted: {
    code: "file-completed",
    level: LogLevel.Debug,
    line: ({ path, bytes, fate, as }) =>
      `${Printable.line(path)} (${formatBytes(bytes)}): ${outcomes[fate].line}${as === undefined ? "" : `: ${Printable.line(as)}`}`,
    fields: ({ path, bytes, fate, as }) => ({
      path,
      bytes,
      outcome: fate,
      ...(as === undefined ? {} : { as })
    })
  },
  EntryOmitted: {
    code: "entry-omitted",
    level: LogLevel.Warning,
    line: ({ path, fate }) => `${Printable.line(path)}: ${outcomes[fate].line}`,
    fields: ({ path, fate }) => ({ path, reason: fate })
  },
  DiskFailed: {
    code: "disk-failed",
    level: LogLevel.Warning,
    line: ({ text }) => text,
    fields: ({ text }) => ({ message: text })
  },
  TransferEnded: {
    code: "transfer-ended",
    level: LogLevel.Info,
    line: ({ verb, address, files, bytes, same, skipped }) =>
      `${verb} ${plural(files, "file")}, ${formatBytes(bytes)}, ${verb === "pushed" ? "to" : "from"} ${address}` +
      `${same === 0 ? "" : `; ${plural(same, "file")} ${same === 1 ? "was" : "were"} there already`}` +
      `${skipped === 0 ? "" : `; ${plural(skipped, "name")} ${skipped === 1 ? "was" : "were"} taken, and skipped`}`,
    fields: ({ address, files, bytes, same, skipped }) => ({ address, files, bytes, same, skipped })
  },
  FilesStored: {
    code: "files-stored",
    level: LogLevel.Info,
    line: ({ sender, files }) => {
      const [first] = files
      const bytes = formatBytes(files.reduce((sum, file) => sum + file.bytes, 0))
      return `${formatSender(sender)}: stored ${files.length === 1 && first !== undefined ? Printable.line(first.path) : plural(files.length, "file")}, ${bytes}`
    },
    fields: ({ sender: { peer, from }, files }) => ({ peer, from, files })
  },
  FileFailed: {
    code: "file-failed",
    level: LogLevel.Warning,
    line: ({ sender, text }) => `${formatSender(sender)}: ${text}`,
    fields: ({ sender: { peer, from }, text }) => ({ peer, from, message: text })
  }
}
