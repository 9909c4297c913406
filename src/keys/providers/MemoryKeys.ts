import * as Effect from "effect/Effect"
import { KeyExists, KeyUnavailable } from "../KeyErrors.ts"
import type { KeyLocation } from "../Provider.ts"

/** A key that lives in this process alone: for tests, and for programs that get their keys in their own way. */
export const location = (initial?: Uint8Array | string): KeyLocation => {
  let content = initial === undefined ? undefined : Buffer.from(initial)
  const reference = "memory"
  return {
    reference,
    read: () =>
      Effect.suspend(() =>
        content === undefined
          ? new KeyUnavailable({
              reference,
              reason: "nothing is kept there",
              hint: "create a key first"
            })
          : Effect.succeed(content)
      ),
    write: (bytes) =>
      Effect.suspend(() => {
        if (content !== undefined) return new KeyExists({ reference })
        content = Buffer.from(bytes)
        return Effect.void
      })
  }
}
