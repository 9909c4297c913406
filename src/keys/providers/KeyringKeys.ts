import { createRequire } from "node:module"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Subprocess from "../Subprocess.ts"
import { KeyExists, KeyNotCreated, KeyUnavailable, type KeyCreateError } from "../KeyErrors.ts"
import { limits } from "../limits.ts"
import type { KeyLocation, Provider } from "../Provider.ts"

/**
 * A key in the desktop's keyring: the Secret Service (GNOME, KDE), the Keychain, Windows' credentials. The package for it is loaded
 * when it is first used, in a process of its own: its calls wait for a person to unlock the keyring, and a thread that waits in one
 * could not be ended.
 */
export const location = (
  name: string,
  deadline: Duration.DurationInput = limits.keyringDeadline,
  resolve: (name: string) => string = createRequire(import.meta.url).resolve
): KeyLocation => {
  const reference = `keyring:${name}`

  /** The outcome of what the keyring is asked, or a clause and what to do about it. */
  const ask = (
    request: "read" | "write",
    input: Uint8Array
  ): Effect.Effect<Subprocess.Outcome, Trouble> =>
    Effect.gen(function* () {
      const [, service, account] = /^([^/]+)\/(.+)$/.exec(name) ?? []
      if (service === undefined || account === undefined)
        return yield* Effect.fail([
          "that is no name in a keyring",
          "write it as keyring:SERVICE/ACCOUNT"
        ] as const)
      const library = yield* Effect.try({
        try: () => resolve(packageName),
        catch: () =>
          [`the package ${packageName} is not installed`, `npm install ${packageName}`] as const
      })
      const args = ["--input-type=module", "--eval", script, library, request, service, account]
      return yield* Subprocess.run({ program: process.execPath, args, input, deadline }).pipe(
        Effect.mapError((clause) => [`the keyring ${clause}`, remedy] as const),
        Effect.filterOrFail(
          ({ status }) => status === 0 || status === statuses.none || status === statuses.taken,
          ({ lastErrorLine }) => [`the keyring cannot be used${lastErrorLine}`, remedy] as const
        )
      )
    })

  return {
    reference,
    read: ({ keygen }) =>
      ask("read", nothing).pipe(
        Effect.mapError(([reason, hint]) => new KeyUnavailable({ reference, reason, hint })),
        Effect.filterOrFail(
          ({ status, output }) => status !== statuses.none && output.length > 0,
          () =>
            new KeyUnavailable({
              reference,
              reason: "nothing is kept there",
              hint: `make one: ${keygen} --key ${reference}`
            })
        ),
        Effect.map(({ output }) => output)
      ),
    write: (content) =>
      Effect.flatMap(
        Effect.mapError(
          ask("write", content),
          ([reason, hint]) => new KeyNotCreated({ reference, detail: `${reason}; ${hint}` })
        ),
        ({ status }): Effect.Effect<void, KeyCreateError> =>
          status === statuses.taken ? new KeyExists({ reference }) : Effect.void
      )
  }
}

export const KeyringKeys: Provider = {
  scheme: "keyring",
  form: "keyring:SERVICE/ACCOUNT",
  summary: "the desktop's keyring",
  location
}

const packageName = "@napi-rs/keyring"
const remedy = "is a keyring running in this session, and is it unlocked?"
const nothing = new Uint8Array()

type Trouble = readonly [clause: string, hint: string]

/** How the script ends when it has something to say. */
const statuses = { none: 44, taken: 45 } as const

/**
 * Asks the keyring. The key goes through standard input and output. Only the Secret Service will do on Linux: the library's other
 * choice there, the kernel's keyring, forgets at the next start. No keyring can create only what is missing: what was written is
 * read again, and of two that write at the same moment the one that finds the other's key has lost.
 */
const script = `
import { readFileSync, writeSync } from "node:fs"
import { pathToFileURL } from "node:url"
const [library, request, service, account] = process.argv.slice(1)
try {
  const { Entry } = (await import(pathToFileURL(library))).default
  const entry = new Entry(service, account, { linux: { store: "secret-service" } })
  const kept = () => Buffer.from(entry.getSecret() ?? [])
  const before = kept()
  if (request === "read") {
    if (before.length === 0) process.exit(${statuses.none})
    writeSync(1, before)
  } else {
    if (before.length > 0) process.exit(${statuses.taken})
    const key = readFileSync(0)
    entry.setSecret(key)
    if (!kept().equals(key)) process.exit(${statuses.taken})
  }
} catch (error) {
  process.stderr.write(String(error.message).replaceAll("\\n", " "))
  process.exit(1)
}
`
