// A small file system that a test can fill.
import { spawnSync } from "node:child_process"
import { mkdirSync } from "node:fs"
import type { Box } from "./Sealwire.ts"

export const canMount = process.getuid?.() === 0 && spawnSync("mount", ["--version"]).status === 0

/**
 * Mounts a file system of 600 KiB, or another size, at the folder `disk`; undefined when it cannot
 * be mounted.
 */
export const smallDisk = (box: Box, size = "600k"): string | undefined => {
  const disk = box.path("disk")
  mkdirSync(disk)
  if (spawnSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", disk]).status !== 0)
    return undefined
  box.defer(() => spawnSync("umount", ["-l", disk]))
  return disk
}
