// A minute of fuzzing for each target, from the kept inputs on. An input that fails stays in
// test/corpus; what it reached besides is not kept (`npm run fuzz -- TARGET` keeps it).
import { spawn } from "node:child_process"
import { expect, it } from "vitest"
import { targetNames } from "../fuzz/targets/index.ts"

const seconds = 60

it.each(targetNames)("fuzzes %s", async (name) => {
  // A process of its own: V8 counts blocks only in code that is compiled after the request.
  const child = spawn(
    process.execPath,
    ["--import", "tsx", "scripts/fuzz.ts", name, String(seconds), "--keep-nothing"],
    { stdio: ["ignore", "pipe", "pipe"] }
  )
  let output = ""
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (output += text))
  const code = await new Promise((done) => child.once("close", done))
  console.log(output.trim())
  expect({ code, output }).toMatchObject({ code: 0 })
  // It ran more than its seeds, and found its way with the coverage.
  expect(Number(/: (?<runs>\d+) runs,/.exec(output)?.groups?.runs)).toBeGreaterThan(200)
})
