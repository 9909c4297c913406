// What needs a database's packages loads them when it is asked for: nobody else needs them, or waits for them.
import * as Effect from "effect/Effect"
import { InboxUnusable } from "./InboxErrors.ts"

export const importOptional = <A>(
  inbox: string,
  load: () => Promise<A>
): Effect.Effect<A, InboxUnusable> =>
  Effect.tryPromise({ try: load, catch: (cause) => cause }).pipe(
    Effect.catchAll((cause) => {
      const missing = missingPackage(cause)
      return missing === undefined
        ? Effect.die(cause)
        : new InboxUnusable({
            inbox,
            reason: `it needs a package that is not installed: npm install ${missing}`
          })
    })
  )

/** The name that Node did not find, as an import or in a package of machine code. */
const missingPackage = (cause: unknown): string | undefined => {
  const { code, message } = cause as NodeJS.ErrnoException
  return code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND"
    ? /Cannot find (?:package|module) '([^'/]+(?:\/[^'/]+)?)/.exec(message)?.[1]
    : undefined
}
