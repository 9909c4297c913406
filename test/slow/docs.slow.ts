// The API pages: every door, and nothing that it shows is without a word.
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { expect, it } from "vitest"

it("the API pages are made without a warning", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "sealwire-docs-"))
  try {
    // Not awaited by blocking: vitest asks its worker now and then.
    const child = spawn(process.execPath, ["scripts/run.mjs", "docs.ts", folder], {
      stdio: ["ignore", "pipe", "pipe"]
    })
    let said = ""
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => (said += text))
    const code = await new Promise((done) => child.once("close", done))
    expect({ code, said }).toEqual({ code: 0, said: "" })
    for (const door of ["index", "platform", "node", "cluster", "testing", "otel"])
      expect(existsSync(path.join(folder, "modules", `${door}.html`))).toBe(true)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
