import { shown } from "../../bytes/excerpt.ts"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ChildEnvironment from "../ChildEnvironment.ts"
import * as Environment from "../Environment.ts"
import { KeyUnavailable } from "../KeyErrors.ts"
import type { KeyLocation, Provider } from "../Provider.ts"

/** An environment variable with the text form of a key, or 64 hexadecimal digits (classic key). */
export const location = (
  name: string,
  environment: Environment.Variables = process.env
): KeyLocation => {
  const reference = `env:${name}`
  if (environment === process.env) ChildEnvironment.withhold(name)
  const hint = `set ${shown(name)} to the text of the key`
  return {
    reference,
    read: () =>
      Effect.suspend((): Effect.Effect<Uint8Array, KeyUnavailable> => {
        const found = Environment.variable(name, environment)
        if (Either.isLeft(found))
          return new KeyUnavailable({
            reference,
            reason: `the environment variable ${shown(name)} ${found.left}`,
            hint
          })
        const value = found.right
        if (value === undefined)
          return new KeyUnavailable({
            reference,
            reason: `the environment variable ${shown(name)} is not set`,
            hint
          })
        if (value.trim() === "")
          return new KeyUnavailable({
            reference,
            reason: `the environment variable ${shown(name)} is empty`,
            hint
          })
        return Effect.succeed(Buffer.from(value))
      }),
    write: hint
  }
}

export const EnvKeys: Provider = {
  scheme: "env",
  form: "env:NAME",
  summary: "an environment variable with the text of the key",
  location
}
