// Writes the manual pages to dist/man. SOURCE_DATE_EPOCH, in seconds, makes their date reproducible.
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import path from "node:path"
import { manualPages } from "../src/cli/arguments/Manual.ts"
import { commandList } from "../src/cli/commands/index.ts"

export const buildManual = (root: string, version: string): void => {
  const folder = path.join(root, "dist/man")
  const epoch = process.env.SOURCE_DATE_EPOCH
  const time = epoch === undefined ? new Date() : new Date(Number(epoch) * 1000)
  const date = time.toISOString().slice(0, 10)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const [file, text] of manualPages(commandList, { version, date }))
    writeFileSync(path.join(folder, file), text)
}
