// Transfers to another machine, here the same one: one large file, many small files, and the same
// files again. Sealwire has flushed the files when it ends, and so has rsync with --fsync.
import { randomBytes } from "node:crypto"
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync
} from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import type { Row } from "../Row.ts"
import { operations } from "../scale.ts"
import { copying } from "../sides/copies.ts"

const MiB = 1024 * 1024

/** SEALWIRE_BENCH_DISK selects the disk to write to; the row in memory measures without one. */
const disk = process.env.SEALWIRE_BENCH_DISK ?? tmpdir()
const memory = "/dev/shm"

interface Push {
  readonly name: string
  /** Where its folders are. */
  readonly on: string
  readonly make: (at: string) => void
  /** True to copy what is there already, unchanged. */
  readonly isUnchanged?: boolean
}

const row = ({ name, on, make, isUnchanged = false }: Push): Row => {
  let at: string | undefined
  const folder = () => {
    if (at !== undefined) return at
    const made = mkdtempSync(path.join(on, "sealwire-files-"))
    process.on("exit", () => rmSync(made, { recursive: true, force: true }))
    return (at = made)
  }
  const source = () => {
    const at = path.join(folder(), "source")
    if (!existsSync(at)) make(at)
    return at
  }
  return {
    figures: [{ name, unit: "s", better: "lower" }],
    rounds: 3,
    contestants: copying({ folder, source, isUnchanged })
  }
}

const oneFile = (at: string): void => {
  const fd = openSync(at, "w")
  const piece = randomBytes(MiB)
  for (let index = 0; index < operations(1024); index++) {
    piece.writeUInt32BE(index)
    writeSync(fd, piece)
  }
  closeSync(fd)
}

const manyFiles = (at: string): void => {
  mkdirSync(at)
  for (let index = 0; index < operations(10_000); index++)
    writeFileSync(path.join(at, `file${index}`), randomBytes(4096))
}

export const pushRows: ReadonlyArray<Row> = [
  row({ name: "push of 1 GiB", on: disk, make: oneFile }),
  ...(existsSync(memory)
    ? [row({ name: "push of 1 GiB, in memory", on: memory, make: oneFile })]
    : []),
  row({ name: "push of 10,000 files of 4 KiB", on: disk, make: manyFiles }),
  row({ name: "push of 10,000 unchanged files", on: disk, make: manyFiles, isUnchanged: true })
]
