// `npm run fuzz -- TARGET [SECONDS] [SEED]`: looks for inputs of a target that reach new code, and
// keeps them in test/corpus. An input that fails is kept too, and the exit code is 1. With
// `--keep-nothing` the corpus stays as it is, except for inputs that fail.
import path from "node:path"
import { Coverage } from "../test/fuzz/Coverage.ts"
import * as Corpus from "../test/fuzz/Corpus.ts"
import { fuzz } from "../test/fuzz/Fuzzer.ts"
import { limits } from "../test/fuzz/limits.ts"
import { Watchdog } from "../test/fuzz/Watchdog.ts"

const source = path.resolve(import.meta.dirname, "../src") + path.sep
const words = process.argv.slice(2)
const keepNothing = words.includes("--keep-nothing")
const [name = "", seconds = "60", given] = words.filter((word) => !word.startsWith("--"))
const seed = Number(given ?? Date.now() % 2 ** 31)

// Before the code is imported: V8 counts blocks only in code that is compiled afterwards.
const coverage = new Coverage((url) => url.includes(source))
const { loadTarget, targetNames } = await import("../test/fuzz/targets/index.ts")
const target = await loadTarget(name)
if (target === undefined) {
  console.error(`no such target; the targets are ${targetNames.join(", ")}`)
  process.exit(2)
}

const kept = Corpus.read(name)
const watchdog = new Watchdog({
  maxBytes: 1024 * 1024,
  hangMillis: limits.hangMillis,
  file: path.join(Corpus.root, name, "fault-hang")
})
const end = Date.now() + Number(seconds) * 1000
const { corpus, outcomes, runs, fault } = await fuzz({
  target,
  coverage,
  kept: kept.map(({ bytes }) => bytes),
  seed,
  more: () => Date.now() < end,
  beforeEach: watchdog.note
})
await watchdog.stop()
if (fault !== undefined) {
  const file = Corpus.keepFault(name, fault.input)
  console.error(`${name}: run ${runs} of seed ${seed} failed; the input is in ${file}`)
  console.error(fault.cause)
  process.exit(1)
}
if (!keepNothing) Corpus.replace(name, corpus)
const bytes = corpus.reduce((sum, { length }) => sum + length, 0)
console.log(
  `${name}: ${runs} runs, seed ${seed}; ${kept.length} inputs before, ` +
    `${corpus.length} now (${bytes} bytes), ${outcomes} outcomes`
)
process.exit(0)
