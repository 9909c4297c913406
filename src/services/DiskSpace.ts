import { statfs } from "node:fs/promises"

/**
 * Rejects with the system error ENOSPC if the file system at a path has no space or no file left for
 * this user, or with another system error if it cannot be asked.
 */
export const requireSpace = async (path: string): Promise<void> => {
  const { bavail, files, ffree } = await statfs(path)
  // Some file systems count no files.
  if (bavail === 0 || (files > 0 && ffree === 0))
    throw Object.assign(new Error("no space left"), { code: "ENOSPC" })
}
