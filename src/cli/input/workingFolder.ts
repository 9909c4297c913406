// The working directory, which another process can remove while a command runs or before it starts.
import * as Data from "effect/Data"

/** A relative path was to be resolved, and the working directory no longer exists. */
export class WorkingFolderGone extends Data.TaggedError("WorkingFolderGone") {
  override get message(): string {
    return "the working directory no longer exists; change to another one (cd), or use absolute paths"
  }
}

/**
 * Returns WorkingFolderGone for the error that `process.cwd()` has thrown, wherever it was called:
 * `path.resolve` and libraries call it too. Returns every other error as it is.
 */
export const orWorkingFolderGone = (error: unknown): unknown => {
  const { code, syscall } = (error ?? {}) as NodeJS.ErrnoException
  return code === "ENOENT" && syscall === "uv_cwd" ? new WorkingFolderGone() : error
}
