import * as Effect from "effect/Effect"
import { KeyExists, KeyNotCreated, KeyRejected, KeyUnavailable, type KeyCreateError } from "./KeyErrors.ts"
import { maxKeyText } from "./KeyText.ts"
import type { Place, Provider } from "./Provider.ts"

/** A key in an environment variable: its text form, or for a classic key 64 hexadecimal digits. */
export const place = (name: string, environment: Readonly<Record<string, string | undefined>> = process.env): Place => {
  const reference = `env:${name}`
  const hint = `set ${name} to the text of the key`
  return {
    reference,
    read: () =>
      Effect.suspend((): Effect.Effect<Uint8Array, KeyUnavailable | KeyRejected> => {
        const value = environment[name]
        if (value === undefined)
          return new KeyUnavailable({ reference, reason: `the environment variable ${name} is not set`, hint })
        if (value.trim() === "")
          return new KeyUnavailable({ reference, reason: `the environment variable ${name} is empty`, hint })
        if (value.length > maxKeyText)
          return new KeyRejected({
            reference,
            reason: "wrong length",
            detail: `longer than the ${maxKeyText} bytes a key may have`
          })
        return Effect.succeed(Buffer.from(value))
      }),
    write: () =>
      Effect.suspend((): Effect.Effect<void, KeyCreateError> =>
        environment[name] === undefined
          ? new KeyNotCreated({
              reference,
              detail: `the environment variable ${name} is not set; ${hint}`
            })
          : new KeyExists({ reference })
      )
  }
}

export const EnvKeys: Provider = {
  scheme: "env",
  form: "env:NAME",
  summary: "an environment variable that holds the key's text",
  place
}
