// `npm run format`: formats the code in place.
import { spawnSync } from "node:child_process"

const { status } = spawnSync(
  process.execPath,
  ["node_modules/oxfmt/bin/oxfmt", "src", "test", "scripts", "examples"],
  { stdio: "inherit" }
)
process.exitCode = status ?? 1
