// The options that several commands share, each defined once.
import { quoted } from "../../bytes/excerpt.ts"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import { protocolLimits } from "../../channel/limits.ts"
import * as Padding from "../../channel/Padding.ts"
import { ciphers } from "../../classic/ciphers.ts"
import { optionError } from "./optionErrors.ts"

export * from "./addressOptions.ts"
export * from "./keyOptions.ts"
export * from "./optionErrors.ts"
export * from "./valueOptions.ts"

export const json = Options.boolean("json").pipe(
  Options.withDescription("Write one JSON object per line to stdout.")
)

/** Config.ts reads the file before @effect/cli parses the options. */
export const config = Options.text("config").pipe(
  Options.withPseudoName("FILE"),
  Options.optional,
  Options.withDescription(
    'Read options from a TOML file, by their names: listen = "0.0.0.0:8080". Command-line options override the file.'
  )
)

export const wire = Options.boolean("wire").pipe(
  Options.withDescription("Show the bytes on the wire, in hexadecimal.")
)

export const cipher = Options.text("cipher").pipe(
  Options.withPseudoName("CIPHER"),
  Options.mapEffect((text) => {
    const kind = ciphers.find(({ name }) => name === text)
    return kind === undefined
      ? optionError(
          "cipher",
          `${quoted(text)} is not one of ${ciphers.map(({ name }) => name).join(", ")}`
        )
      : Effect.succeed(kind)
  }),
  Options.withDefault(ciphers[0]),
  Options.withDescription(
    `Cipher: ${ciphers.map(({ name, summary }) => `${name} (${summary})`).join("; ")}.`
  )
)

export const serverName = Options.text("name").pipe(
  Options.withPseudoName("NAME"),
  Options.mapEffect((text) =>
    Buffer.byteLength(text) <= protocolLimits.nameBytes
      ? Effect.succeed(text)
      : optionError(
          "name",
          `a server name has at most ${protocolLimits.nameBytes.toLocaleString("en-US")} bytes`
        )
  ),
  Options.withDefault(""),
  Options.withDescription("Server name that both sides must agree on. Default: none.")
)

export const padding = Options.text("padding").pipe(
  Options.withPseudoName("PADDING"),
  Options.mapEffect((text) => {
    const parsed = Padding.parse(text)
    return parsed === undefined
      ? optionError("padding", `${quoted(text)} is not one of none, block:N, padme`)
      : Effect.succeed(parsed)
  }),
  Options.withDefault(Padding.none),
  Options.withDescription(
    "Hide the length of sent data: none, block:N (round up to N bytes) or padme (at most 12 % more)."
  )
)
