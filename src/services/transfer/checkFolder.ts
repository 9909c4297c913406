import { constants } from "node:fs"
import { access, stat } from "node:fs/promises"
import * as Effect from "effect/Effect"
import { requireSpace } from "../DiskSpace.ts"
import { folderFailed, type DiskFailed } from "./TransferErrors.ts"

/**
 * Succeeds if the folder is there, this process may write it, and its file system has space. Fails
 * with the system error as DiskFailed. It creates nothing.
 */
export const checkFolder = (folder: string): Effect.Effect<void, DiskFailed> =>
  Effect.tryPromise({
    try: async () => {
      if (!(await stat(folder)).isDirectory())
        throw Object.assign(new Error("not a folder"), { code: "ENOTDIR" })
      await access(folder, constants.W_OK | constants.X_OK)
      await requireSpace(folder)
    },
    catch: folderFailed(folder)
  })
