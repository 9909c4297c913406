// `node scripts/run.mjs reference.ts`: writes docs/reference/commands.md.
import { writeFileSync } from "node:fs"
import { referencePage } from "../src/cli/arguments/Reference.ts"
import { commandList } from "../src/cli/commands/index.ts"

writeFileSync("docs/reference/commands.md", referencePage(commandList))
