// Transfers to another machine, here the same one: one large file, and many small files. Sealwire
// has flushed the files when it ends; the others have not, except for rsync with --fsync.
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
import { copying } from "../sides/copies.ts"

const target = { scp: 1.2, "rsync over ssh": 1.2 }

/** SEALWIRE_BENCH_DISK selects the disk to write to; /dev/shm measures without a disk. */
const folder = () => {
  const made = mkdtempSync(
    path.join(process.env.SEALWIRE_BENCH_DISK ?? tmpdir(), "sealwire-files-")
  )
  process.on("exit", () => rmSync(made, { recursive: true, force: true }))
  return made
}

const row = (name: string, rounds: number, make: (at: string) => void): Row => ({
  figures: [{ name, unit: "s", better: "lower", target }],
  rounds,
  contestants: async () => {
    const at = folder()
    const source = path.join(at, "source")
    return copying(at, () => {
      if (!existsSync(source)) make(source)
      return source
    })
  }
})

const MiB = 1024 * 1024

export const pushRows: ReadonlyArray<Row> = [
  row("push of 1 GiB", 3, (at) => {
    const fd = openSync(at, "w")
    const piece = randomBytes(MiB)
    for (let index = 0; index < 1024; index++) {
      piece.writeUInt32BE(index)
      writeSync(fd, piece)
    }
    closeSync(fd)
  }),
  row("push of 10,000 files of 4 KiB", 3, (at) => {
    mkdirSync(at)
    for (let index = 0; index < 10_000; index++)
      writeFileSync(path.join(at, `file${index}`), randomBytes(4096))
  })
]
