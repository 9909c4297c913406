import { existsSync } from "node:fs"
import path from "node:path"
import { fileURLToPath } from "node:url"

/**
 * Returns the command that installs an optional package where this one finds it. A folder of
 * packages without a package.json beside it is the one of `npm install -g`.
 */
export const installCommand = (name: string, from: string = import.meta.url): string => {
  const [, project] = /^(.*?)[\\/]node_modules[\\/]/.exec(fileURLToPath(from)) ?? []
  const isGlobal = project !== undefined && !existsSync(path.join(project, "package.json"))
  return `npm install ${isGlobal ? "-g " : ""}${name}`
}
