// `compile.ts FILE`: shows the help once, and keeps what V8 has compiled for it beside FILE.
import { readFileSync, writeFileSync } from "node:fs"
import { run, scriptOf } from "./script.ts"

const [file] = process.argv.splice(2, 1, "--help")
if (file === undefined) throw new Error("which file?")
const script = scriptOf(file, readFileSync(file, "latin1"))
process.once("exit", () => writeFileSync(`${file}.compiled`, script.createCachedData()))
run(script, file)
