// The modes of what a peer sends.
import { chmodSync, mkdirSync, statSync } from "node:fs"
import { describe, expect } from "vitest"
import { bin, it } from "./Sealwire.ts"

describe("files and folders from a peer", () => {
  it("get no permission that the umask of the receiver denies", async ({ box }) => {
    expect((await box.run(["keygen"])).code).toBe(0)
    mkdirSync(box.path("store"))
    mkdirSync(box.path("open"))
    box.write("open/all", "x")
    box.write("open/run", "x")
    chmodSync(box.path("open/all"), 0o666)
    chmodSync(box.path("open/run"), 0o777)
    chmodSync(box.path("open"), 0o777)
    const server = box.startOther("sh", [
      "-c",
      'umask 027; exec "$0" "$@"',
      process.execPath,
      bin,
      "serve",
      "--listen",
      "unix:./s",
      "--files",
      "store"
    ])
    await server.until("listening", ({ stderr }) => stderr.includes("listening"))
    expect((await box.run(["push", "--to", "unix:./s", "open"])).code).toBe(0)
    const modeOf = (name: string) => statSync(box.path(`store/${name}`)).mode & 0o777
    expect([modeOf("open"), modeOf("open/all"), modeOf("open/run")]).toEqual([0o750, 0o640, 0o750])
  })
})
