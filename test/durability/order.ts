// The order in which files become durable: content flushed, then named, then the folder flushed,
// then confirmed.

import path from "node:path"

/** Something that happened on the disk, in the order in which it happened. */
export type DiskEvent =
  /** Content changes: once when the call begins, and once when it has ended. */
  | { readonly kind: "write"; readonly file: string }
  /** A flush covers what was written before it begins, and counts when it has ended. */
  | { readonly kind: "flush begins" | "flush ended"; readonly file: string; readonly id: number }
  /** `file` gets a name in `folder`. */
  | { readonly kind: "naming"; readonly file: string; readonly path: string }
  /** `path` has its name now: a file, a folder or a link. */
  | { readonly kind: "named"; readonly folder: string; readonly path: string }
  /** Somebody is told that `path` is durable. */
  | { readonly kind: "confirmed"; readonly path: string }

/** Content or names that changed: how often, and how much of it is flushed. */
interface Changes {
  made: number
  flushed: number
}

/** Returns every violation of the order, and the paths that were confirmed. */
export const checkOrder = (
  events: ReadonlyArray<DiskEvent>
): { readonly violations: ReadonlyArray<string>; readonly confirmed: ReadonlyArray<string> } => {
  const violations: Array<string> = []
  const confirmed: Array<string> = []
  /** By the identity of a file or folder. */
  const changes = new Map<string, Changes>()
  const changesOf = (file: string): Changes => {
    const found = changes.get(file) ?? { made: 0, flushed: 0 }
    changes.set(file, found)
    return found
  }
  const running = new Map<number, () => void>()
  /** By path: the folder, and which of its changes the name was. */
  const names = new Map<string, { readonly folder: string; readonly change: number }>()

  for (const event of events)
    switch (event.kind) {
      case "write":
        changesOf(event.file).made++
        break
      case "flush begins": {
        const found = changesOf(event.file)
        const { made } = found
        running.set(event.id, () => void (found.flushed = Math.max(found.flushed, made)))
        break
      }
      case "flush ended":
        running.get(event.id)?.()
        break
      case "naming": {
        const { made, flushed } = changesOf(event.file)
        if (flushed < made)
          violations.push(`${event.path} was named before its content was flushed`)
        break
      }
      case "named": {
        const change = ++changesOf(event.folder).made
        names.set(event.path, { folder: event.folder, change })
        break
      }
      case "confirmed": {
        confirmed.push(event.path)
        const name = names.get(event.path)
        if (name === undefined) violations.push(`${event.path} was confirmed before it was named`)
        else if (changesOf(name.folder).flushed < name.change)
          violations.push(`${event.path} was confirmed before its folder was flushed`)
        // So must be every folder that was made on the way to it.
        for (let on = path.dirname(event.path); on !== path.dirname(on); on = path.dirname(on)) {
          const made = names.get(on)
          if (made !== undefined && changesOf(made.folder).flushed < made.change)
            violations.push(`${event.path} was confirmed before the name of ${on} was flushed`)
        }
      }
    }
  return { violations, confirmed }
}
