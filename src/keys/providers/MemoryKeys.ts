import * as Effect from "effect/Effect"
import { KeyExists, KeyUnavailable } from "../KeyErrors.ts"
import type { KeyLocation } from "../Provider.ts"

/** This process's memory: for tests, and for programs that obtain keys by other means. */
export const location = (initial?: Uint8Array | string, reference = "memory"): KeyLocation => {
  let content = initial === undefined ? undefined : Buffer.from(initial)
  return {
    reference,
    read: () =>
      Effect.suspend(() =>
        content === undefined
          ? new KeyUnavailable({
              reference,
              reason: "no key is stored there",
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
