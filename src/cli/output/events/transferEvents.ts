// Events of a file transfer, and the outcomes of its entries.
import * as LogLevel from "effect/LogLevel"
import * as Printable from "../../../bytes/Printable.ts"
import type { RemotePeer } from "../../../services/Service.ts"
import type { NextStep } from "../../../services/transfer/TransferErrors.ts"
import { plural, formatBytes, formatSender } from "./phrases.ts"
import type { EventTexts } from "./EventText.ts"

interface OutcomeText {
  /** The entry should have been transferred and was not. */
  readonly isFailure: boolean
  /** The value of `outcome` and `action` in JSON. Part of the interface. */
  readonly code: string
  readonly line: string
}

/** The outcomes of an entry. */
export const outcomes = {
  stored: { isFailure: false, code: "stored", line: "stored" },
  renamed: {
    isFailure: false,
    code: "renamed",
    line: "stored under another name, because its name exists"
  },
  same: { isFailure: false, code: "unchanged", line: "already up to date" },
  made: { isFailure: false, code: "created", line: "created" },
  skipped: { isFailure: false, code: "skipped", line: "skipped: already exists" },
  exists: {
    isFailure: true,
    code: "exists",
    line: "already exists with different content; use --overwrite, --rename or --skip"
  },
  refused: {
    isFailure: true,
    code: "refused",
    line: "permission denied by the rules for your key"
  },
  quota: { isFailure: true, code: "quota-exceeded", line: "exceeds the quota of your key" },
  busy: { isFailure: true, code: "busy", line: "another transfer of this file is in progress" },
  failed: { isFailure: true, code: "disk-failed", line: "disk error at the receiver" },
  damaged: {
    isFailure: true,
    code: "damaged",
    line: "the received content differs from what was sent and was discarded"
  },
  changed: {
    isFailure: true,
    code: "changed",
    line: "changed while it was read; run the same command again"
  },
  unreadable: {
    isFailure: true,
    code: "unreadable",
    line: "cannot be read, or has content beyond its stated size, as files of /proc do"
  },
  missing: { isFailure: true, code: "missing", line: "no such file or folder" },
  none: { isFailure: true, code: "not-found", line: "not found" },
  name: {
    isFailure: true,
    code: "invalid-name",
    line: "invalid name: it has a forbidden character, is not UTF-8 or is too long"
  },
  twice: {
    isFailure: true,
    code: "duplicate-name",
    line: "another file of this transfer has this name"
  },
  outside: {
    isFailure: true,
    code: "outside-link",
    line: "is a symbolic link that leads out of the folder"
  },
  link: {
    isFailure: false,
    code: "symlink",
    line: "skipped: symbolic link; to send it, use --symlinks follow or --symlinks keep"
  },
  special: { isFailure: false, code: "special-file", line: "skipped: neither a file nor a folder" },
  unfinished: {
    isFailure: false,
    code: "partial-file",
    line: "skipped: file of an incomplete transfer"
  }
} as const satisfies Readonly<Record<string, OutcomeText>>
export type Outcome = keyof typeof outcomes

const deniedByRules: ReadonlySet<Outcome> = new Set(["refused", "quota"])
const resolvedByRetry: ReadonlySet<Outcome> = new Set([
  "busy",
  "failed",
  "damaged",
  "changed",
  "missing"
])

/**
 * Returns what resolves the failed outcomes: running the command again where that helps one of
 * them; otherwise other rules, or a change by the user.
 */
export const nextStepFor = (failures: ReadonlyArray<Outcome>): NextStep =>
  failures.every((outcome) => deniedByRules.has(outcome))
    ? "rules"
    : failures.some((outcome) => resolvedByRetry.has(outcome))
      ? "again"
      : "change"

/** An entry of a dry run, and the action that the transfer would take. */
export interface PlannedEntry {
  /** "send", "make", or an outcome. */
  readonly what: string
  readonly path: string
  readonly kind: string
  readonly bytes: number
  /** The path of the existing file with the same content, where its name differs. */
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
    readonly outcome: Outcome
    readonly as?: string
  }
  EntryOmitted: { readonly path: string; readonly outcome: Outcome }
  DiskFailed: { readonly text: string }
  TransferEnded: Totals & { readonly verb: "pushed" | "pulled"; readonly address: string }
  FilesStored: {
    readonly sender: RemotePeer
    readonly files: ReadonlyArray<{ readonly path: string; readonly bytes: number }>
  }
  FileFailed: { readonly sender: RemotePeer; readonly text: string }
}

export interface Totals {
  /** Files that were stored, with other names included. */
  readonly files: number
  /** Size of these files. */
  readonly bytes: number
  /** Content bytes sent: fewer where a transfer resumes or a file has holes. */
  readonly transferredBytes: number
  /** Files that were up to date. */
  readonly same: number
  /** Files that were skipped because their name exists. */
  readonly skipped: number
}

const actionOf = (what: string): string =>
  what === "make" ? "create" : what in outcomes ? outcomes[what as Outcome].code : what

/** `send        4.0 KiB  docs/a.txt` */
export const plannedEntryLine = ({ what, path, kind, bytes, as }: PlannedEntry): string =>
  `${actionOf(what).padEnd(10)}${(kind === "file" ? formatBytes(bytes) : kind).padStart(11)}  ${Printable.line(path)}` +
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
      `available: ${names.length === 0 ? "no files" : names.map(Printable.line).join(", ")}` +
      `${more === 0 ? "" : ` and ${more.toLocaleString("en-US")} more`}`,
    fields: ({ names, more }) => ({ names, more })
  },
  EntryPlanned: {
    code: "entry-planned",
    level: LogLevel.Info,
    line: () => undefined,
    fields: ({ what, path, kind, bytes, as }) => ({
      action: actionOf(what),
      path,
      kind,
      bytes,
      ...(as === undefined ? {} : { as })
    })
  },
  FileCompleted: {
    code: "file-completed",
    level: LogLevel.Debug,
    line: ({ path, bytes, outcome, as }) =>
      `${Printable.line(path)} (${formatBytes(bytes)}): ${outcomes[outcome].line}` +
      `${as === undefined ? "" : `: ${Printable.line(as)}`}`,
    fields: ({ path, bytes, outcome, as }) => ({
      path,
      bytes,
      outcome: outcomes[outcome].code,
      ...(as === undefined ? {} : { as })
    })
  },
  EntryOmitted: {
    code: "entry-omitted",
    level: LogLevel.Warning,
    line: ({ path, outcome }) => `${Printable.line(path)}: ${outcomes[outcome].line}`,
    fields: ({ path, outcome }) => ({ path, outcome: outcomes[outcome].code })
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
    line: ({ verb, address, files, bytes, transferredBytes, same, skipped }) =>
      `${verb} ${plural(files, "file")} (${formatBytes(bytes)}` +
      `${transferredBytes === bytes ? "" : `, ${formatBytes(transferredBytes)} transferred`}) ` +
      `${verb === "pushed" ? "to" : "from"} ${address}` +
      `${same === 0 ? "" : `; ${plural(same, "file")} already up to date`}` +
      `${skipped === 0 ? "" : `; ${plural(skipped, "file")} skipped`}`,
    fields: ({ address, files, bytes, transferredBytes, same, skipped }) => ({
      address,
      files,
      bytes,
      transferredBytes,
      unchanged: same,
      skipped
    })
  },
  FilesStored: {
    code: "files-stored",
    level: LogLevel.Info,
    line: ({ sender, files }) => {
      const [first] = files
      const stored =
        files.length === 1 && first !== undefined
          ? Printable.line(first.path)
          : plural(files.length, "file")
      return `${formatSender(sender)}: stored ${stored} (${formatBytes(files.reduce((sum, file) => sum + file.bytes, 0))})`
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
