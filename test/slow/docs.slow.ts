// The API pages document every entry point and everything that it exports.
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { expect, it } from "vitest"

it("builds the API pages without a warning", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "sealwire-docs-"))
  try {
    // spawn and not spawnSync: the worker must answer vitest meanwhile.
    const child = spawn(process.execPath, ["scripts/run.mjs", "docs.ts", folder], {
      stdio: ["ignore", "pipe", "pipe"]
    })
    let output = ""
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => (output += text))
    const code = await new Promise((done) => child.once("close", done))
    expect({ code, output }).toEqual({ code: 0, output: "" })
    for (const entryPoint of ["index", "platform", "node", "cluster", "testing", "otel"])
      expect(existsSync(path.join(folder, "modules", `${entryPoint}.html`))).toBe(true)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
