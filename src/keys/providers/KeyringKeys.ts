import { createRequire } from "node:module"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { installCommand } from "../installCommand.ts"
import * as Subprocess from "../Subprocess.ts"
import { KeyExists, KeyNotCreated, KeyUnavailable, type KeyCreateError } from "../KeyErrors.ts"
import { limits } from "../limits.ts"
import type { KeyLocation, Provider } from "../Provider.ts"

/**
 * An entry of the desktop's keyring: the Secret Service (GNOME, KDE), the macOS Keychain, Windows
 * Credential Manager. Its package is loaded in a separate process when it is first used: its calls
 * block until the user unlocks the keyring, and a thread blocked in such a call cannot be ended.
 */
export const location = (
  name: string,
  deadline: Duration.DurationInput = limits.keyringDeadline,
  resolve: (name: string) => string = createRequire(import.meta.url).resolve
): KeyLocation => {
  const reference = `keyring:${name}`

  const request = (
    operation: "read" | "write",
    input: Uint8Array
  ): Effect.Effect<Subprocess.Outcome, Problem> =>
    Effect.gen(function* () {
      const [, service, account] = /^([^/]+)\/(.+)$/.exec(name) ?? []
      if (service === undefined || account === undefined)
        return yield* Effect.fail([
          "invalid keyring name",
          "write it as keyring:SERVICE/ACCOUNT"
        ] as const)
      const library = yield* Effect.try({
        try: () => resolve(packageName),
        catch: () =>
          [`the package ${packageName} is not installed`, installCommand(packageName)] as const
      })
      const args = ["--input-type=module", "--eval", script, library, operation, service, account]
      return yield* Subprocess.run({ program: process.execPath, args, input, deadline }).pipe(
        Effect.mapError((clause) => [`the keyring ${clause}`, remedy] as const),
        Effect.filterOrFail(
          ({ status }) => status === 0 || status === statuses.absent || status === statuses.exists,
          ({ lastErrorLine }) => [`the keyring cannot be used${lastErrorLine}`, remedy] as const
        )
      )
    })

  return {
    reference,
    read: ({ name: missing }) =>
      request("read", noInput).pipe(
        Effect.mapError(([reason, hint]) => new KeyUnavailable({ reference, reason, hint })),
        Effect.filterOrFail(
          ({ status, output }) => status !== statuses.absent && output.length > 0,
          () =>
            new KeyUnavailable({
              reference,
              reason: "no key is stored there",
              hint: "create one",
              missing
            })
        ),
        Effect.map(({ output }) => output)
      ),
    write: (content) =>
      Effect.flatMap(
        Effect.mapError(
          request("write", content),
          ([reason, hint]) => new KeyNotCreated({ reference, detail: `${reason}; ${hint}` })
        ),
        ({ status }): Effect.Effect<void, KeyCreateError> =>
          status === statuses.exists ? new KeyExists({ reference }) : Effect.void
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
const remedy = "start a keyring in this session and unlock it"
const noInput = new Uint8Array()

type Problem = readonly [reason: string, hint: string]

/** Exit statuses of the script. */
const statuses = { absent: 44, exists: 45 } as const

/**
 * Reads or writes the entry. The key passes through standard input and output. On Linux only the
 * Secret Service is used: the kernel's keyring, the library's other choice, loses its keys at
 * reboot. A keyring has no atomic create, so the entry is read again after writing: of two
 * concurrent writers, the one that finds the other's key reports "exists".
 */
const script = `
import { readFileSync, writeSync } from "node:fs"
import inspector from "node:inspector"
import { pathToFileURL } from "node:url"
const [library, operation, service, account] = process.argv.slice(1)
// Otherwise Node opens its debugger to every user. A signal that came while Node was starting has
// opened it, or opens it in the next turn.
process.on("SIGUSR1", () => {})
await new Promise((done) => setImmediate(done))
if (inspector.url() !== undefined) inspector.close()
try {
  const { Entry } = (await import(pathToFileURL(library))).default
  const entry = new Entry(service, account, { linux: { store: "secret-service" } })
  const stored = () => Buffer.from(entry.getSecret() ?? [])
  const before = stored()
  if (operation === "read") {
    if (before.length === 0) process.exit(${statuses.absent})
    writeSync(1, before)
  } else {
    if (before.length > 0) process.exit(${statuses.exists})
    const key = readFileSync(0)
    entry.setSecret(key)
    if (!stored().equals(key)) process.exit(${statuses.exists})
  }
} catch (error) {
  process.stderr.write(String(error.message).replaceAll("\\n", " "))
  process.exit(1)
}
`
