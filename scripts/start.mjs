// `npm start`: installs if necessary, builds, and runs the demonstration. `npm start -- ARGS` runs
// the command itself in the current folder.
import { spawn } from "node:child_process"
import { constants } from "node:os"
import path from "node:path"
import { root, script, setup } from "./setup.mjs"

setup()
const built = script("build.ts", ["--if-stale", "--command-only"], { stdio: ["ignore", 2, 2] })
if (built !== 0) process.exit(built)

const args = process.argv.slice(2)
const child =
  args.length > 0
    ? spawn(process.execPath, [path.join(root, "dist/sealwire.js"), ...args], {
        cwd: process.env.INIT_CWD ?? root,
        stdio: "inherit"
      })
    : spawn(process.execPath, ["--import", "tsx", path.join(root, "scripts/demo.ts")], {
        cwd: root,
        stdio: "inherit"
      })

// A terminal signals the whole process group. A forwarded signal would be the second one for the
// child, which exits at once on it.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
  process.on(signal, () => {
    if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal)
  })
child.on("exit", (code, signal) => {
  process.exitCode = code ?? 128 + (constants.signals[signal] ?? 1)
})
