// Loads modules that need optional packages on first use, so that other programs need not install
// them.
import * as Effect from "effect/Effect"
import { installCommand } from "../../keys/installCommand.ts"
import { InboxUnusable } from "./InboxErrors.ts"

/** Loads a module. Fails with InboxUnusable when a package that it imports is not installed. */
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
            reason: `the package ${missing} is not installed; run: ${installCommand(missing)}`
          })
    })
  )

/** Returns the name of the package that Node did not find: of an import, or of a native module. */
const missingPackage = (cause: unknown): string | undefined => {
  const { code, message } = cause as NodeJS.ErrnoException
  return code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND"
    ? /Cannot find (?:package|module) '([^'/]+(?:\/[^'/]+)?)/.exec(message)?.[1]
    : undefined
}
