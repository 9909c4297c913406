// dist/sealwire.js: starts the command with what V8 had compiled when it was built. To parse it anew took a third of the start.
import { readFileSync } from "node:fs"
import path from "node:path"
import { run, scriptOf } from "./script.ts"

declare const SEALWIRE_MAIN: string

const file = path.join(import.meta.dirname, "sealwire", SEALWIRE_MAIN)

const compiled = (): Buffer | undefined => {
  try {
    return readFileSync(`${file}.compiled`)
  } catch {
    return undefined
  }
}

// Another V8 than the one that it was built with takes none of it, and compiles what it needs.
run(scriptOf(file, readFileSync(file, "latin1"), compiled()), file)
