// The options that several commands share, each defined once.
import { quoted } from "../../bytes/excerpt.ts"
import * as Flag from "./Flag.ts"
import * as Effect from "effect/Effect"
import { protocolLimits } from "../../channel/limits.ts"
import * as Padding from "../../channel/Padding.ts"
import { ciphers } from "../../classic/ciphers.ts"
import { optionError } from "./optionErrors.ts"

export * from "./addressOptions.ts"
export * from "./keyOptions.ts"
export * from "./optionErrors.ts"
export * from "./valueOptions.ts"

export const json = Flag.boolean("json").pipe(
  Flag.withGroup("Output"),
  Flag.withDescription("Write one JSON object per line to stdout.")
)

/** Config.ts reads the file before @effect/cli parses the options. */
export const config = Flag.text("config").pipe(
  Flag.completing("file"),
  Flag.withValue("FILE"),
  Flag.optional,
  Flag.withDescription(
    'Read options from a TOML file, by their names: listen = "0.0.0.0:8080". Command-line options override the file.'
  )
)

export const wire = Flag.boolean("wire").pipe(
  Flag.withGroup("Output"),
  Flag.withDescription("Show the bytes on the wire, in hexadecimal.")
)

export const cipher = Flag.text("cipher").pipe(
  Flag.withValue("CIPHER"),
  Flag.mapEffect((text) => {
    const kind = ciphers.find(({ name }) => name === text)
    return kind === undefined
      ? optionError(
          "cipher",
          `${quoted(text)} is not one of ${ciphers.map(({ name }) => name).join(", ")}`
        )
      : Effect.succeed(kind)
  }),
  Flag.withDefault(ciphers[0]),
  Flag.withShownDefault(ciphers[0].name),
  Flag.withChoices(ciphers.map(({ name }) => name)),
  Flag.withDescription(
    `Cipher: ${ciphers.map(({ name, summary }) => `${name} (${summary})`).join("; ")}.`
  )
)

export const serverName = Flag.text("server-name").pipe(
  Flag.withValue("NAME"),
  Flag.mapEffect((text) =>
    Buffer.byteLength(text) <= protocolLimits.nameBytes
      ? Effect.succeed(text)
      : optionError(
          "server-name",
          `a server name has at most ${protocolLimits.nameBytes.toLocaleString("en-US")} bytes`
        )
  ),
  Flag.withDefault(""),
  Flag.withGuesses("--name"),
  Flag.withDescription("Server name that both sides must agree on.")
)

export const padding = Flag.text("padding").pipe(
  Flag.withGroup("Connection"),
  Flag.withValue("PADDING"),
  Flag.mapEffect((text) => {
    const parsed = Padding.parse(text)
    return parsed === undefined
      ? optionError("padding", `${quoted(text)} is not one of none, block:N, padme`)
      : Effect.succeed(parsed)
  }),
  Flag.withDefault(Padding.none),
  Flag.withDescription(
    "Hide the length of sent data: none, block:N (round up to N bytes) or padme (at most 12 % more)."
  )
)
