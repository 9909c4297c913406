// C3 of a client without a pinned key: runs the program's check of the key that the server shows.
// Every outcome other than `true` refuses the server. PROTOCOL.md section 4.
import * as Effect from "effect/Effect"

/**
 * Checks the public key that a server shows (32 bytes), before the client sends its own. Only the
 * result `true` accepts the server; to refuse it, return `false` or fail. A check that throws or
 * dies refuses it too.
 *
 * @example
 * const checkServer = (key: Uint8Array) => Effect.succeed(Buffer.compare(key, expected) === 0)
 */
export type CheckServer<E = never, R = never> = (
  publicKey: Uint8Array
) => Effect.Effect<boolean, E, R>

/** Returns undefined when the check has accepted the key, else the reason for the refusal. */
export const refusalOf = <E, R>(
  check: CheckServer<E, R>,
  publicKey: Uint8Array
): Effect.Effect<string | undefined, E, R> =>
  Effect.suspend(() => {
    const verdict: unknown = check(publicKey)
    // An iterable can be yielded like an Effect, and one without elements would refuse nothing.
    if (Effect.isEffect(verdict)) return verdict as Effect.Effect<unknown, E, R>
    // A rejected promise without a handler ends the process.
    Promise.resolve(verdict).catch(() => {})
    return Effect.dieMessage("it returned no Effect")
  }).pipe(
    Effect.map((accepted) =>
      accepted === true ? undefined : "checkServer refused the server's key"
    ),
    Effect.catchAllDefect((defect) =>
      Effect.succeed(
        `checkServer failed: ${defect instanceof Error ? defect.message : String(defect)}`
      )
    )
  )
