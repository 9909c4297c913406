// The house is one straight line: a room imports only itself and rooms to its left.
// DESIGN section 3. Read from the code's own import statements.
import { readdirSync, readFileSync } from "node:fs"
import path from "node:path"

/** From left to right. */
export const line = ["bytes", "keys", "ciphers", "noise", "transports", "channel", "files", "programs", "cli"] as const

/** They stand beside `cli`: they import programs and below; only a door imports them. */
const beside: Readonly<Record<string, number>> = {
  platform: line.indexOf("programs") + 0.5,
  otel: line.indexOf("programs") + 0.5,
  testing: line.indexOf("programs") + 0.5
}

/** Where a room stands, or undefined when it is no room of the house. */
const position = (room: string): number | undefined => {
  const at = (line as ReadonlyArray<string>).indexOf(room)
  return at >= 0 ? at : beside[room]
}

/** The doors of the package, which stand outside and see every room. */
const doors = ["index.ts", "platform.ts", "cluster.ts", "node.ts", "testing.ts", "otel.ts"]

const imports = (code: string): ReadonlyArray<string> =>
  [...code.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"(\.[^"]+)"/g)].map((match) => match[1] ?? "")

/**
 * One line for each import that goes to the right, for a room the house does not have, and for a
 * barrel import of effect (340 ms of start-up); a line too when there is no file at all.
 */
export const roomViolations = (src: string): ReadonlyArray<string> => {
  const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"))
  if (files.length === 0) return [`${src}: no TypeScript files found; the check would prove nothing`]
  return files.flatMap((file) => {
    const code = readFileSync(path.join(src, file), "utf8")
    const barrels = [...code.matchAll(/from "(effect|@effect\/(?:platform|platform-node|cli))"/g)].map(
      (match) => `${file}: imports the barrel "${match[1]}"; import the module (effect/Effect)`
    )
    if (doors.includes(file)) return barrels
    const room = file.split(path.sep)[0] ?? ""
    const here = position(room)
    if (here === undefined) return [`${file}: "${room}" is not a room of the house (${line.join(" -> ")})`]
    const strays = imports(code).flatMap((specifier) => {
      const target = path.normalize(path.join(path.dirname(file), specifier)).split(path.sep)[0] ?? ""
      const there = position(target)
      if (target === room) return []
      if (there === undefined) return [`${file}: imports ${specifier}, which is in no room`]
      return there < here && !Object.hasOwn(beside, target)
        ? []
        : [`${file}: "${room}" imports "${target}", which stands to its right`]
    })
    return [...barrels, ...strays]
  })
}
