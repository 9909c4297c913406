// `compile.ts FILE`: prints the help once, and stores the V8 code cache of that run beside FILE.
import { readFileSync, writeFileSync } from "node:fs"
import { scriptOf, start } from "./script.ts"

const [file] = process.argv.splice(2, 1, "--help")
if (file === undefined) throw new Error("usage: compile.ts FILE")
const script = scriptOf(file, readFileSync(file, "latin1"))
process.once("exit", () => writeFileSync(`${file}.compiled`, script.createCachedData()))
start(script, file)
