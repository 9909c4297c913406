// Lets one session at a time resume a partial file. Node has no flock(2); on Linux a name in the
// abstract namespace of Unix sockets is as good: one process can bind it, and it is released when
// the process ends. Elsewhere only the sessions of one process exclude each other.
import { createServer, type Server } from "node:net"
import * as Effect from "effect/Effect"

const held = new Set<string>()

/** Locks the file with this device and inode. Returns its unlock; undefined if another holds it. */
export const lock = (
  dev: number | bigint,
  ino: number | bigint
): Effect.Effect<(() => void) | undefined> => {
  const name = `sealwire-part-${dev}-${ino}`
  if (held.has(name)) return Effect.succeed(undefined)
  held.add(name)
  const unlockHere = () => void held.delete(name)
  if (process.platform !== "linux") return Effect.succeed(unlockHere)
  return Effect.async((resume) => {
    const server: Server = createServer((socket) => socket.destroy())
    server.unref()
    server.once("error", ({ code }: NodeJS.ErrnoException) => {
      // A system without abstract names still gets the lock within this process.
      if (code !== "EADDRINUSE") return resume(Effect.succeed(unlockHere))
      unlockHere()
      resume(Effect.succeed(undefined))
    })
    server.listen(`\0${name}`, () =>
      resume(
        Effect.succeed(() => {
          unlockHere()
          server.close()
        })
      )
    )
  })
}
