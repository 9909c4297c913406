// One session at a time goes on with an unfinished file. Node has no flock; on Linux a name in the abstract space of Unix sockets is as
// good: whoever has bound it has it, and it is gone with the process. Elsewhere the sessions of one process alone are kept apart.
import { createServer, type Server } from "node:net"
import * as Effect from "effect/Effect"

const held = new Set<string>()

/** What gives it back; undefined where another has it. */
export const take = (
  dev: number | bigint,
  ino: number | bigint
): Effect.Effect<(() => void) | undefined> => {
  const name = `sealwire-part-${dev}-${ino}`
  if (held.has(name)) return Effect.succeed(undefined)
  held.add(name)
  const mine = () => void held.delete(name)
  if (process.platform !== "linux") return Effect.succeed(mine)
  return Effect.async((resume) => {
    const server: Server = createServer((socket) => socket.destroy())
    server.unref()
    server.once("error", ({ code }: NodeJS.ErrnoException) => {
      // Where there are no such names, the sessions of this process are kept apart.
      if (code !== "EADDRINUSE") return resume(Effect.succeed(mine))
      mine()
      resume(Effect.succeed(undefined))
    })
    server.listen(`\0${name}`, () =>
      resume(
        Effect.succeed(() => {
          mine()
          server.close()
        })
      )
    )
  })
}
