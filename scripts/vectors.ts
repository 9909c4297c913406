// `npm run vectors -- FILE…`: runs Noise test vectors in the format of flynn/noise, cacophony or
// snow.
import { readFileSync } from "node:fs"
import path from "node:path"
import { isOurs, parse, run } from "../test/noise/vectors.ts"

const files = process.argv.slice(2)
if (files.length === 0) {
  console.error("usage: npm run vectors -- FILE…   (for one: test/vectors/noise-flynn.json)")
  process.exit(2)
}

const from = process.env.INIT_CWD ?? process.cwd()
let failed = 0
for (const file of files) {
  const all = parse(readFileSync(path.resolve(from, file), "utf8"))
  const ours = all.filter(isOurs)
  const failures = ours.flatMap((vector, index) => {
    const problem = run(vector)
    return problem === undefined ? [] : [`${file}: ${vector.name} (${index}): ${problem}`]
  })
  for (const line of failures) console.error(line)
  console.log(
    `${file}: ${ours.length - failures.length} passed, ${failures.length} failed, ${all.length - ours.length} of other algorithms`
  )
  failed += failures.length + (ours.length === 0 ? 1 : 0)
}
process.exitCode = failed === 0 ? 0 : 1
