// The API pages: every door, and nothing that it shows is without a word.
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { expect, it } from "vitest"

it("the API pages are made without a warning", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "sealwire-docs-"))
  try {
    const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/run.mjs", "docs.ts", folder], {
      encoding: "utf8",
      timeout: 300_000
    })
    expect({ status, said: stdout + stderr }).toEqual({ status: 0, said: "" })
    for (const door of ["index", "platform", "node", "cluster", "testing", "otel"])
      expect(existsSync(path.join(folder, "modules", `${door}.html`))).toBe(true)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}, 320_000)
