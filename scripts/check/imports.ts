// Reads the import statements of a folder of TypeScript files, type-only imports included.
import { readdirSync, readFileSync } from "node:fs"
import path from "node:path"

/** The code of every TypeScript file below `folder`, by its path with slashes. */
export const sourcesOf = (folder: string): ReadonlyMap<string, string> =>
  new Map(
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .map((file) => [
        file.split(path.sep).join("/"),
        readFileSync(path.join(folder, file), "utf8")
      ])
  )

/** Removes comments: they contain examples with imports. */
const withoutComments = (code: string): string => code.replace(/\/\*[\s\S]*?\*\//g, "")

/** The files, relative to the folder, that `file` imports by a relative specifier. */
export const importsOf = (file: string, code: string): ReadonlyArray<string> =>
  [...withoutComments(code).matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"(\.[^"]+)"/g)].map((match) =>
    path.posix.join(path.posix.dirname(file), match[1] ?? "")
  )
