// The errors of a SQLite file, as clauses for its user.
import * as Effect from "effect/Effect"
import { InboxRefused } from "./InboxErrors.ts"
import { Rejected } from "./SqliteNames.ts"

/** Returns the code of an error of SQLite or the system. */
export const codeOf = (cause: unknown): string => {
  const { code } = (cause ?? {}) as { readonly code?: unknown }
  return typeof code === "string" ? code : "unknown error"
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "its directory does not exist",
  ENOTDIR: "its path leads through a file that is not a directory",
  EISDIR: "it is a directory",
  ENXIO: "it is not a regular file",
  ELOOP: "its path has too many symbolic links",
  EACCES: "permission denied: this user may not write it",
  EROFS: "its file system is read-only",
  ENOSPC: "the disk is full",
  ENAMETOOLONG: "its name is too long for the files beside it, such as FILE-journal",
  SQLITE_NOTADB: "it is not a SQLite database",
  SQLITE_READONLY: "permission denied: this user may not write it",
  SQLITE_CORRUPT: "the database file is damaged"
}

/** Returns why the file cannot be opened. */
export const reasonOf = (cause: unknown): string =>
  cause instanceof Rejected ? cause.message : (reasons[codeOf(cause)] ?? codeOf(cause))

export const full = "the disk is full"
/** The errors of a full disk: the second is that of the memory that processes share. */
const fullCodes = ["SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"]
export const isFull = (error: unknown): boolean =>
  error instanceof InboxRefused && error.reason === full

const locked = "another process has locked the file"
export const isLocked = (error: unknown): boolean =>
  error instanceof InboxRefused && error.reason.startsWith(locked)

/** Errors that another attempt may not meet. */
const transient: ReadonlyArray<readonly [code: string, reason: string]> = [
  ...fullCodes.map((code) => [code, full] as const),
  ["SQLITE_BUSY", locked],
  ["SQLITE_IOERR", "writing to the disk failed"],
  ["SQLITE_CANTOPEN", "opening the file failed"],
  ["SQLITE_NOMEM", "out of memory"]
]

/** Returns the error of an operation that failed with a code of SQLite. */
export const refused = (code: string): InboxRefused => {
  const found = transient.find(([begin]) => code.startsWith(begin))
  if (found === undefined) return new InboxRefused({ reason: reasons[code] ?? code, retry: false })
  return new InboxRefused({
    reason: found[0] === code ? found[1] : `${found[1]} (${code})`,
    retry: true
  })
}

/** Runs a check of the names of the file. */
export const checking = (check: () => void): Effect.Effect<void, InboxRefused> =>
  Effect.try({
    try: check,
    catch: (cause) =>
      new InboxRefused({
        reason:
          cause instanceof Rejected
            ? cause.message
            : `its file cannot be found again (${codeOf(cause)}); check its directories with ls -l`,
        retry: true,
        isGone: cause instanceof Rejected
      })
  })
