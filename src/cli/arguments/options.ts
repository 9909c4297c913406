// The options several commands share, each defined once.
import { mkdir } from "node:fs/promises"
import path from "node:path"
import * as Args from "@effect/cli/Args"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Code from "../../bytes/Code.ts"
import * as Printable from "../../bytes/Printable.ts"
import { ciphers } from "../../classic/ciphers.ts"
import * as Padding from "../../channel/Padding.ts"
import * as UtcDate from "../../keys/UtcDate.ts"
import * as PeerFiles from "../../peers/PeerFiles.ts"
import type { Provider } from "../../keys/Provider.ts"
import { providers } from "../../keys/providers/index.ts"
import type { Retry } from "../../services/Retry.ts"
import * as Address from "../../transports/Address.ts"

/** Options that do not go together. */
export class OptionsConflict extends Data.TaggedError("OptionsConflict")<{
  readonly detail: string
}> {
  override get message(): string {
    return this.detail
  }
}

/** Where the origin listens and sends. */
export const originAddress = "127.0.0.1:8080"
export const origin = Either.getOrThrow(Address.parse(originAddress))

export const json = Options.boolean("json").pipe(
  Options.withDescription("One JSON object a line on stdout, for machines.")
)

/** Read by Config before the options are. */
export const config = Options.text("config").pipe(
  Options.withPseudoName("FILE"),
  Options.optional,
  Options.withDescription(
    'Options from a TOML file, by their names here: listen = "0.0.0.0:8080". What stands on the command line goes before.'
  )
)

export const wire = Options.boolean("wire").pipe(
  Options.withDescription("Show the bytes as they cross the wire, in hexadecimal.")
)

/** Options that are each right, and do not go together, or not here. */
export const usageError = (detail: string) =>
  Effect.fail(ValidationError.invalidValue(HelpDoc.p(detail)))

/** How an option's value is refused: with the name of the option, which @effect/cli leaves out. */
export const optionError = (name: string, detail: string) => usageError(`--${name}: ${detail}`)

const cipherNames = ciphers.map(({ name }) => name)

export const cipher = Options.text("cipher").pipe(
  Options.withPseudoName("CIPHER"),
  Options.mapEffect((text) => {
    const kind = ciphers.find(({ name }) => name === text)
    return kind === undefined
      ? optionError("cipher", `"${Printable.line(text)}" is none of ${cipherNames.join(", ")}`)
      : Effect.succeed(kind)
  }),
  Options.withDefault(ciphers[0]),
  Options.withDescription(
    `How messages are sealed: ${ciphers.map(({ name, summary }) => `${name} (${summary})`).join("; ")}.`
  )
)

const listed = (some: ReadonlyArray<Provider>) =>
  `a path, or ${some.map(({ form, summary }) => `${form} (${summary})`).join(", ")}`

/** The ways of keeping keys, for help texts. */
export const keyLocations = listed(providers)

/** Those of them where a key can be made. */
export const writableKeyLocations = listed(
  providers.filter(({ location }) => typeof location("").write !== "string")
)

/** A place a key is kept, by reference; the default depends on the cipher. */
export const key = Options.text("key").pipe(
  Options.withPseudoName("KEY"),
  Options.optional,
  Options.withDescription(
    `Where the key is: ${keyLocations}. ` +
      `Default: ${[...new Set(ciphers.map(({ keyFile }) => keyFile))].join(", or ")} for ${ciphers.at(-1)?.name ?? ""}.`
  )
)

/** Where a shared key is kept unless told otherwise: the server makes it, the client never. */
export const sharedKeyFile = "./sealwire.key"

/** Where a file key is made unless told otherwise. */
export const fileKeyFile = "./sealwire-file.key"

/** This user's own folder, as help texts show it. */
export const shownConfigFolder = "~/.config/sealwire"
export const configPath = (name: string): string => path.join(PeerFiles.folder(), name)

export const identityFile = (): string => configPath("identity.key")
export const shownIdentityFile = `${shownConfigFolder}/identity.key`

/** The folder for what is this user's own, 0700. */
export const createConfigFolder: Effect.Effect<void> = Effect.ignore(
  Effect.tryPromise(() => mkdir(PeerFiles.folder(), { recursive: true, mode: 0o700 }))
)

/** The file whose key is rewritten. */
export const keyFile = Args.text({ name: "FILE" }).pipe(
  Args.withDescription("The file that holds the key.")
)

export const sharedKey = Options.text("key").pipe(
  Options.withPseudoName("KEY"),
  Options.optional,
  Options.withDescription(
    `The shared key: ${keyLocations}. Default, without an identity: ${sharedKeyFile}.`
  )
)

export const identity = Options.text("identity").pipe(
  Options.withPseudoName("KEY"),
  Options.optional,
  Options.withDescription(
    `This side's identity: ${keyLocations}. Default, where one is needed: ${shownIdentityFile}.`
  )
)

export const identityReference = (given: Option.Option<string>): string =>
  Option.getOrElse(given, identityFile)

export const authorizedPeers = Options.text("authorized-peers").pipe(
  Options.withPseudoName("FILE"),
  Options.optional,
  Options.withDescription(
    `Whom to let in, one line a client: public-key name. Default: ${shownConfigFolder}/authorized_peers.`
  )
)

export const serverName = Options.text("name").pipe(
  Options.withPseudoName("NAME"),
  Options.withDefault(""),
  Options.withDescription(
    "The name of the server, when both sides are told one: a client of another name is refused."
  )
)

export const padding = Options.text("padding").pipe(
  Options.withPseudoName("PADDING"),
  Options.mapEffect((text) => {
    const parsed = Padding.parse(text)
    return parsed === undefined
      ? optionError("padding", `"${Printable.line(text)}" is none of none, block:N, padme`)
      : Effect.succeed(parsed)
  }),
  Options.withDefault(Padding.none),
  Options.withDescription(
    "Hide the length of what this side sends: none, block:N (to a multiple of N bytes) or padme (at most 12 % more)."
  )
)

/** Why an address is refused where a connection is to be made. */
export const onlyForListening =
  "an inherited socket is for listening; write host:port or a socket's path"

/** How addresses are written. */
export const addressForms = (inherited: boolean) =>
  `host:port, [v6]:port, :port (this machine), /path${inherited ? ", unix:path, fd:N or systemd:NAME" : " or unix:path"}`

/** An address option that names itself when its value is no address. */
const addressOption = (name: string, inherited: boolean) =>
  Options.text(name).pipe(
    Options.withPseudoName("ADDRESS"),
    Options.mapEffect((text) => {
      const parsed = Address.parse(text)
      if (Either.isLeft(parsed))
        return optionError(
          name,
          Code.looksLike(text)
            ? "this looks like a code, which is never an argument"
            : parsed.left.message
        )
      return parsed.right._tag === "Inherited" && !inherited
        ? optionError(name, onlyForListening)
        : Effect.succeed(parsed.right)
    })
  )

/** The origin's address unless told otherwise. */
const addressOrOrigin = (name: string, description: string, inherited: boolean) =>
  addressOption(name, inherited).pipe(
    Options.withDefault(origin),
    Options.withDescription(`${description} ${addressForms(inherited)}. Default: ${originAddress}.`)
  )

/** Where to connect to. */
export const address = (name: string, description: string) =>
  addressOrOrigin(name, description, false)

/** Where to listen: an inherited socket, too. */
export const listen = addressOrOrigin("listen", "Where to listen.", true)

/** An address that need not be. */
export const optionalAddress = (name: string, description: string, inherited = false) =>
  addressOption(name, inherited).pipe(
    Options.optional,
    Options.withDescription(`${description} ${addressForms(inherited)}.`)
  )

/** A whole number within bounds. */
export const integer = (
  name: string,
  description: string,
  [least, most]: readonly [number, number] = [1, 1_000_000]
) =>
  Options.text(name).pipe(
    Options.withPseudoName("N"),
    Options.mapEffect((text) => {
      const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
      return value >= least && value <= most
        ? Effect.succeed(value)
        : optionError(name, `"${Printable.line(text)}" is no whole number from ${least} to ${most}`)
    }),
    Options.withDescription(description)
  )

/** A date, in milliseconds since 1970. */
export const date = (name: string, description: string) =>
  Options.text(name).pipe(
    Options.withPseudoName("DATE"),
    Options.mapEffect((text) => {
      const parsed = UtcDate.parse(text)
      return parsed === undefined ? optionError(name, UtcDate.syntax) : Effect.succeed(parsed)
    }),
    Options.optional,
    Options.withDescription(
      `${description}: 2027-01-01 (its first moment) or 2027-01-01T12:00Z, in UTC.`
    )
  )

/** How long, as a person writes it: 90s, 10m, 24h, 30d. */
export const duration = (name: string, description: string, least = 1) =>
  Options.text(name).pipe(
    Options.withPseudoName("TIME"),
    Options.mapEffect((text) => {
      const [, count = "", unit = "s"] = /^(\d{1,6})([smhd])?$/.exec(text) ?? []
      const millis = Number(count) * (units[unit] ?? 0)
      return count === "" || millis < least
        ? optionError(name, `"${Printable.line(text)}" is no time; write 90s, 10m, 24h or 30d`)
        : Effect.succeed(Duration.millis(millis))
    }),
    Options.withDescription(description)
  )

const units: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

const defaultRetry = "30 seconds"

/** `--retry` of what goes on over lost connections; `how`: what becomes of the work. */
export const retry = (how: string) =>
  duration(
    "retry",
    `How long to go on, without progress, when the connection is lost; ${how}. ` +
      `Given, it holds for the first connection too. 0 gives up at once. Default: ${defaultRetry}, once connected.`,
    0
  ).pipe(Options.optional)

/** What was said with it. */
export const retryPolicy = (given: Option.Option<Duration.Duration>): Retry => ({
  deadline: Option.getOrElse(given, () => defaultRetry),
  includesFirstAttempt: Option.isSome(given)
})
