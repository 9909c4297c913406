// The folders of src are rooms in one order: a room imports only itself and the rooms above it in
// the list. docs/explanation/architecture.md describes them.
import path from "node:path"
import { importsOf, sourcesOf } from "./imports.ts"

/** The rooms in order, from the one that imports no other room to the command. */
export const rooms = [
  "bytes",
  "keys",
  "transports",
  "peers",
  "noise",
  "channel",
  "files",
  "services",
  "services/messages",
  "services/inbox",
  "services/transfer",
  "services/tunnel",
  "services/pairing",
  "services/rpc",
  "services/builtin",
  "classic",
  "cli"
] as const

/** Adapters import every room but `cli`; no room imports them. */
const adapters = ["platform", "otel", "testing"]

/** Rooms of `services` that do not import each other. */
const independent = ["services/transfer", "services/tunnel", "services/pairing", "services/rpc"]

/** The package's entry points. They belong to no room and may import any of them. */
const entryPoints = [
  "index.ts",
  "core.ts",
  "messages.ts",
  "inboxCore.ts",
  "inbox.ts",
  "sql.ts",
  "files.ts",
  "transfer.ts",
  "tunnel.ts",
  "rpc.ts",
  "platform.ts",
  "cluster.ts",
  "node.ts",
  "testing.ts",
  "otel.ts"
]

const position = (room: string): number => (rooms as ReadonlyArray<string>).indexOf(room)

/** The room that holds a file: its first folder, or a folder of `services`. */
const roomOf = (file: string): string => {
  const [first = "", second = ""] = file.split("/")
  return position(`${first}/${second}`) >= 0 ? `${first}/${second}` : first
}

const isRoom = (room: string): boolean => position(room) >= 0 || adapters.includes(room)

const isAllowed = (from: string, to: string): boolean => {
  if (from === to) return true
  if (adapters.includes(to)) return false
  if (adapters.includes(from)) return to !== "cli"
  if (independent.includes(from) && to.startsWith("services/")) return false
  return position(to) < position(from)
}

const barrel = /from "(effect|@effect\/(?:platform|platform-node|cli))"/g

/**
 * One line for each import of a lower room, for each folder that is not a room, and for each barrel
 * import of Effect (340 ms of startup time); also one line if there are no files.
 */
export const roomViolations = (src: string): ReadonlyArray<string> => {
  const sources = sourcesOf(src)
  if (sources.size === 0)
    return [`${src}: no TypeScript files found; the check would prove nothing`]
  return [...sources].flatMap(([file, code]) => {
    const barrels = [...code.matchAll(barrel)].map(
      (match) => `${file}: imports the barrel "${match[1]}"; import the module (effect/Effect)`
    )
    if (entryPoints.includes(file)) return barrels
    const room = roomOf(file)
    if (!isRoom(room)) return [`${file}: "${room}" is not a room (${rooms.join(", ")})`]
    const violations = importsOf(file, code).flatMap((target) => {
      const other = roomOf(path.posix.normalize(target))
      if (!isRoom(other)) return [`${file}: imports ${target}, which is in no room`]
      return isAllowed(room, other)
        ? []
        : [`${file}: "${room}" imports "${other}", which is below it`]
    })
    return [...barrels, ...violations]
  })
}
