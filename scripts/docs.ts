// `npm run docs`: the API pages of the library, into docs/api.
import { execFileSync } from "node:child_process"

execFileSync(
  process.execPath,
  ["node_modules/typedoc/bin/typedoc", "--out", "docs/api", "--excludeInternal", "--disableSources", "src/index.ts"],
  {
    stdio: "inherit"
  }
)
