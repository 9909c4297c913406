import { spawnSync } from "node:child_process"
import path from "node:path"
import type { Contestant, Row } from "../Row.ts"

const command = path.resolve(import.meta.dirname, "../../../dist/sealwire.js")

const timing = (name: string, args: ReadonlyArray<string>): Contestant => ({
  name,
  measure: async () => {
    const start = performance.now()
    const { status } = spawnSync(process.execPath, args, { stdio: "ignore" })
    if (status !== 0) throw new Error(`node ${args.join(" ")} exited with ${status}`)
    return [performance.now() - start]
  }
})

/** The time to print the help, compared with an empty Node program. */
export const startup: Row = {
  figures: [{ name: "start-up of --help", unit: "ms", better: "lower" }],
  rounds: 15,
  contestants: [timing("sealwire --help", [command, "--help"]), timing("node -e 0", ["-e", "0"])]
}
