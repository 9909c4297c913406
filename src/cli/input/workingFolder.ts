// The working directory, which another process can remove while a command runs or before it starts.
import * as Data from "effect/Data"

/** A relative path was to be resolved, and the path of the working directory cannot be told. */
export class WorkingFolderGone extends Data.TaggedError("WorkingFolderGone")<{
  readonly code: string
}> {
  override get message(): string {
    return `the working directory ${clauses[this.code]}; change to another one (cd), or use absolute paths`
  }
}

/** By the error code of getcwd. */
const clauses: Readonly<Record<string, string>> = {
  ENOENT: "no longer exists",
  EACCES: "is in a folder that this user may not read",
  ERANGE: "has a path of more than 4,096 bytes",
  ENAMETOOLONG: "has a path of more than 4,096 bytes"
}

/**
 * Returns WorkingFolderGone for the error that `process.cwd()` has thrown, wherever it was called:
 * `path.resolve` and libraries call it too. Returns every other error as it is.
 */
export const orWorkingFolderGone = (error: unknown): unknown => {
  const { code = "", syscall } = (error ?? {}) as NodeJS.ErrnoException
  return syscall === "uv_cwd" && Object.hasOwn(clauses, code)
    ? new WorkingFolderGone({ code })
    : error
}
