// Options that name keys, and the default places of keys.
import { mkdir } from "node:fs/promises"
import path from "node:path"
import * as Operand from "./Operand.ts"
import * as Flag from "./Flag.ts"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ciphers } from "../../classic/ciphers.ts"
import { providers } from "../../keys/providers/index.ts"
import * as UserFolder from "../../keys/UserFolder.ts"

/** The forms of a reference to a place where a key can be created. */
export const writableKeyForms: ReadonlyArray<string> = providers
  .filter(({ location }) => typeof location("").write !== "string")
  .map(({ form }) => form)

/** The default key files of the classic commands, for help. */
export const classicKeyFiles = `${[...new Set(ciphers.map(({ keyFile }) => keyFile))].join(", or ")} for ${ciphers.at(-1)?.name ?? ""}`

/** The key of the classic commands. Its default depends on the cipher. */
export const key = Flag.text("key").pipe(
  Flag.completing("file"),
  Flag.withValue("KEY"),
  Flag.optional,
  Flag.withDescription("Key shared with the other side.", classicKeyFiles)
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
export const keyFile = Operand.text("FILE").pipe(
  Operand.completing("file"),
  Operand.withDescription("Key file.")
)

export const sharedKey = Flag.text("key").pipe(
  Flag.completing("file"),
  Flag.withValue("KEY"),
  Flag.optional,
  Flag.withDescription("Key shared with the other side.", `${sharedKeyFile}, without an identity`)
)

export const identity = Flag.text("identity").pipe(
  Flag.withShort("i"),
  Flag.completing("file"),
  Flag.withValue("KEY"),
  Flag.optional,
  Flag.withDescription("Your identity: the private key that authenticates you.", shownIdentityFile)
)

export const identityReference = (given: Option.Option<string>): string =>
  Option.getOrElse(given, identityFile)

export const authorizedPeers = Flag.text("authorized-peers").pipe(
  Flag.completing("file"),
  Flag.withValue("FILE"),
  Flag.optional,
  Flag.withDescription(
    'File of authorized clients, one "public-key name" per line.',
    `${shownConfigFolder}/authorized_peers`
  )
)
