// Starts the command with the V8 code cache of the build, which saves a third of the startup time.
// dist/sealwire.js (entry.js) loads it as CommonJS.
import { readFileSync } from "node:fs"
import path from "node:path"
import { refuseDebugger } from "../../src/cli/noDebugger.ts"
import { scriptOf, start } from "./script.ts"

declare const SEALWIRE_MAIN: string

// First: until then SIGUSR1 has Node's meaning.
refuseDebugger()

const file = path.join(__dirname, SEALWIRE_MAIN)

const compiled = (): Buffer | undefined => {
  try {
    return readFileSync(`${file}.compiled`)
  } catch {
    return undefined
  }
}

// Another version of V8 rejects the cache and compiles the code.
start(scriptOf(file, readFileSync(file, "latin1"), compiled()), file)
