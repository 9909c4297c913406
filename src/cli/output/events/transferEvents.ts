// What there is to say of files that travel, and the words for it.
import * as LogLevel from "effect/LogLevel"
import * as Printable from "../../../bytes/Printable.ts"
import type { Sender } from "../../../services/Service.ts"
import type { Next } from "../../../services/transfer/TransferErrors.ts"
import { plural, sizeOf, whoIs } from "./phrases.ts"
import type { EventTexts } from "./EventText.ts"

/** What may become of an entry, and what is said of it; `left` is true where it did not arrive. */
export const fates = {
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
export type Fate = keyof typeof fates

const rules: ReadonlySet<Fate> = new Set(["refused", "quota"])
const again: ReadonlySet<Fate> = new Set(["busy", "failed", "damaged", "changed", "missing"])

/** What helps those that did not arrive. The same command goes on where it helps one of them; else somebody must change something. */
export const nextOf = (left: ReadonlyArray<Fate>): Next =>
  left.every((fate) => rules.has(fate))
    ? "rules"
    : left.some((fate) => again.has(fate))
      ? "again"
      : "change"

/** What would happen in a trial run, as a word. */
export interface Would {
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
  Everything: { readonly names: ReadonlyArray<string>; readonly more: number }
  WouldTravel: Would
  FileDone: {
    readonly path: string
    readonly bytes: number
    readonly fate: Fate
    readonly as?: string
  }
  FileLeft: { readonly path: string; readonly fate: Fate }
  MoreLeft: { readonly count: number }
  DiskTrouble: { readonly text: string }
  TransferRetrying: { readonly address: string; readonly reason: string; readonly millis: number }
  Transferred: Totals & { readonly verb: "pushed" | "pulled"; readonly address: string }
  FilesStored: {
    readonly sender: Sender
    readonly files: ReadonlyArray<{ readonly path: string; readonly bytes: number }>
  }
  FileTrouble: { readonly sender: Sender; readonly text: string }
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
export const wouldLine = ({ what, path, kind, bytes, as }: Would): string =>
  `${what.padEnd(8)}${(kind === "file" ? sizeOf(bytes) : kind).padStart(12)}  ${Printable.line(path)}` +
  `${as === undefined ? "" : ` (${Printable.line(as)})`}\n`

export const transferWords: EventTexts<TransferEvents> = {
  TransferPlanned: {
    code: "transfer-planned",
    level: LogLevel.Debug,
    line: ({ files, folders, bytes }) =>
      `${plural(files, "file")} in ${plural(folders, "folder")}, ${sizeOf(bytes)}`,
    fields: ({ files, folders, links, bytes }) => ({ files, folders, links, bytes })
  },
  Everything: {
    code: "everything",
    level: LogLevel.Info,
    line: ({ names, more }) =>
      `everything there: ${names.length === 0 ? "nothing" : names.map(Printable.line).join(", ")}` +
      `${more === 0 ? "" : ` and ${more.toLocaleString("en-US")} more`}`,
    fields: ({ names, more }) => ({ names, more })
  },
  WouldTravel: {
    code: "would",
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
  FileDone: {
    code: "file",
    level: LogLevel.Debug,
    line: ({ path, bytes, fate, as }) =>
      `${Printable.line(path)} (${sizeOf(bytes)}): ${fates[fate].line}${as === undefined ? "" : `: ${Printable.line(as)}`}`,
    fields: ({ path, bytes, fate, as }) => ({
      path,
      bytes,
      outcome: fate,
      ...(as === undefined ? {} : { as })
    })
  },
  FileLeft: {
    code: "left-out",
    level: LogLevel.Warning,
    line: ({ path, fate }) => `${Printable.line(path)}: ${fates[fate].line}`,
    fields: ({ path, fate }) => ({ path, reason: fate })
  },
  MoreLeft: {
    code: "more-left-out",
    level: LogLevel.Warning,
    line: ({ count }) => `and ${plural(count, "more")} like these`.replace("mores", "more"),
    fields: ({ count }) => ({ count })
  },
  DiskTrouble: {
    code: "disk-trouble",
    level: LogLevel.Warning,
    line: ({ text }) => text,
    fields: ({ text }) => ({ message: text })
  },
  TransferRetrying: {
    code: "retrying",
    level: LogLevel.Warning,
    line: ({ reason, millis }) => `${reason}; trying again in ${(millis / 1000).toFixed(1)} s`,
    fields: ({ address, reason, millis }) => ({ address, reason, millis: Math.round(millis) })
  },
  Transferred: {
    code: "transferred",
    level: LogLevel.Info,
    line: ({ verb, address, files, bytes, same, skipped }) =>
      `${verb} ${plural(files, "file")}, ${sizeOf(bytes)}, ${verb === "pushed" ? "to" : "from"} ${address}` +
      `${same === 0 ? "" : `; ${plural(same, "file")} ${same === 1 ? "was" : "were"} there already`}` +
      `${skipped === 0 ? "" : `; ${plural(skipped, "name")} ${skipped === 1 ? "was" : "were"} taken, and skipped`}`,
    fields: ({ address, files, bytes, same, skipped }) => ({ address, files, bytes, same, skipped })
  },
  FilesStored: {
    code: "files-stored",
    level: LogLevel.Info,
    line: ({ sender, files }) => {
      const [first] = files
      const bytes = sizeOf(files.reduce((sum, file) => sum + file.bytes, 0))
      return `${whoIs(sender)}: stored ${files.length === 1 && first !== undefined ? Printable.line(first.path) : plural(files.length, "file")}, ${bytes}`
    },
    fields: ({ sender: { peer, from }, files }) => ({ peer, from, files })
  },
  FileTrouble: {
    code: "file-trouble",
    level: LogLevel.Warning,
    line: ({ sender, text }) => `${whoIs(sender)}: ${text}`,
    fields: ({ sender: { peer, from }, text }) => ({ peer, from, message: text })
  }
}
