// Options that name keys, and the default places of keys.
import { mkdir } from "node:fs/promises"
import path from "node:path"
import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ciphers } from "../../classic/ciphers.ts"
import type { Provider } from "../../keys/Provider.ts"
import { providers } from "../../keys/providers/index.ts"
import * as UserFolder from "../../keys/UserFolder.ts"

const referenceForms = (some: ReadonlyArray<Provider>) =>
  `a path, or ${some.map(({ form, summary }) => `${form} (${summary})`).join(", ")}`

/** The forms of a key reference, for help. */
export const keyLocations = referenceForms(providers)

/** The forms of a reference to a place where a key can be created. */
export const writableKeyLocations = referenceForms(
  providers.filter(({ location }) => typeof location("").write !== "string")
)

/** The key of the classic commands. Its default depends on the cipher. */
export const key = Options.text("key").pipe(
  Options.withPseudoName("KEY"),
  Options.optional,
  Options.withDescription(
    `Key: ${keyLocations}. ` +
      `Default: ${[...new Set(ciphers.map(({ keyFile }) => keyFile))].join(", or ")} for ${ciphers.at(-1)?.name ?? ""}.`
  )
)

/** The default path of a shared key. The server creates the key; the client never does. */
export const sharedKeyFile = "./sealwire.key"

/** The default path of a file key. */
export const fileKeyFile = "./sealwire-file.key"

/** This user's configuration folder, as help shows it. */
export const shownConfigFolder = "~/.config/sealwire"

/** The path of a file in that folder. Throws HomeUnknown. */
export const configPath = (name: string): string => path.join(UserFolder.configuration(), name)

export const identityFile = (): string => configPath("identity.key")
export const shownIdentityFile = `${shownConfigFolder}/identity.key`

/** Creates this user's configuration folder with mode 0700, if it does not exist. */
export const createConfigFolder: Effect.Effect<void> = Effect.suspend(() => {
  const folder = UserFolder.configuration()
  return Effect.ignore(Effect.tryPromise(() => mkdir(folder, { recursive: true, mode: 0o700 })))
})

/** The key file that a command rewrites. */
export const keyFile = Args.text({ name: "FILE" }).pipe(Args.withDescription("Key file."))

export const sharedKey = Options.text("key").pipe(
  Options.withPseudoName("KEY"),
  Options.optional,
  Options.withDescription(
    `Shared key: ${keyLocations}. Default without an identity: ${sharedKeyFile}.`
  )
)

export const identity = Options.text("identity").pipe(
  Options.withPseudoName("KEY"),
  Options.optional,
  Options.withDescription(
    `Your identity (private key): ${keyLocations}. Default, if one is needed: ${shownIdentityFile}.`
  )
)

export const identityReference = (given: Option.Option<string>): string =>
  Option.getOrElse(given, identityFile)

export const authorizedPeers = Options.text("authorized-peers").pipe(
  Options.withPseudoName("FILE"),
  Options.optional,
  Options.withDescription(
    `File of authorized clients, one "public-key name" per line. Default: ${shownConfigFolder}/authorized_peers.`
  )
)
