import { quoted, shown } from "../../bytes/excerpt.ts"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Descriptor from "../Descriptor.ts"
import { KeyUnavailable } from "../KeyErrors.ts"
import { maxKeyText } from "../KeyText.ts"
import type { KeyLocation, Provider } from "../Provider.ts"

/**
 * An open file descriptor that the parent process passed on: `sealwire serve --key fd:3 3< FILE`.
 * It is read once.
 */
export const location = (name: string, deadline?: Duration.DurationInput): KeyLocation => {
  const reference = `fd:${name}`
  const hint = `open it in the shell: ${shown(name)}< FILE`
  const unavailable = (reason: string) => new KeyUnavailable({ reference, reason, hint })
  // Its number may belong to another file once it is closed.
  let wasRead = false
  return {
    reference,
    read: () =>
      Effect.gen(function* () {
        if (wasRead) return yield* unavailable(`file descriptor ${shown(name)} was read before`)
        const descriptor = Descriptor.parse(name)
        if (descriptor === undefined)
          return yield* new KeyUnavailable({
            reference,
            reason: `${quoted(name)} is not a number`,
            hint: "write it as fd:3"
          })
        wasRead = true
        const content = yield* Effect.mapError(
          Descriptor.read(descriptor, {
            maxBytes: maxKeyText,
            ...(deadline === undefined ? {} : { deadline })
          }),
          (clause) => unavailable(`file descriptor ${shown(name)} ${clause}`)
        )
        return content.length === 0
          ? yield* unavailable(`file descriptor ${shown(name)} is empty`)
          : content
      }),
    write: hint
  }
}

export const FdKeys: Provider = {
  scheme: "fd",
  form: "fd:N",
  summary: "an open file descriptor",
  location
}
