// `node scripts/run.mjs FILE ARGS…`: installs if necessary, then runs a TypeScript file of this
// folder.
import { script, setup } from "./setup.mjs"

setup()
const [file, ...args] = process.argv.slice(2)
process.exitCode = script(file, args)
