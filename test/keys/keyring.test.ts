// The desktop's keyring: a real one, and the errors for a missing, locked or stopped one.
import { spawnSync } from "node:child_process"
import { afterAll, beforeAll, describe, expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Identity, SharedKey } from "../../src/keys/KeyKind.ts"
import * as KeyringKeys from "../../src/keys/providers/KeyringKeys.ts"
import { KeyStore } from "../../src/keys/KeyStore.ts"
import { it, runs } from "../cli/Sealwire.ts"
import * as Keyring from "./Keyring.ts"

const errorMessage = (place: ReturnType<typeof KeyringKeys.location>) =>
  Effect.runPromise(Effect.map(Effect.flip(place.read(Identity)), ({ message }) => message))
const remedy = "start a keyring in this session and unlock it"

describe.skipIf(Keyring.missingRequirement !== undefined)(
  `gnome-keyring${Keyring.missingRequirement === undefined ? "" : ` (first: ${Keyring.missingRequirement})`}`,
  () => {
    let keyring: Keyring.Keyring
    const before = process.env.DBUS_SESSION_BUS_ADDRESS
    beforeAll(async () => {
      keyring = await Keyring.start()
      Object.assign(process.env, keyring.env)
    })
    afterAll(async () => {
      if (before === undefined) delete process.env.DBUS_SESSION_BUS_ADDRESS
      else process.env.DBUS_SESSION_BUS_ADDRESS = before
      await keyring.close()
    })
    const lookUp = (account: string) =>
      spawnSync("secret-tool", ["lookup", "service", "sealwire", "username", account], {
        encoding: "utf8"
      }).stdout

    it("stores an identity that the command creates, where other programs find it", async ({
      box
    }) => {
      const { env } = keyring
      const made = await box.run(["keygen", "identity", "-o", "keyring:sealwire/me"], { env })
      expect([made.code, made.stderr]).toEqual([
        0,
        expect.stringContaining("created a new identity: keyring:sealwire/me")
      ])
      expect(lookUp("me")).toMatch(/^# identity; .*\nSEALWIRE-IDENTITY-1[A-Z0-9]{58}\n$/)
      const shown = await box.run(["pubkey", "--identity", "keyring:sealwire/me"], { env })
      expect([shown.code, shown.stdout.toString()]).toEqual([
        0,
        expect.stringMatching(/^sealwire1/)
      ])
      expect(
        (await box.run(["keygen", "identity", "-o", "keyring:sealwire/me"], { env })).stderr
      ).toContain("never overwritten")
      expect(box.names).toEqual([])
    })

    it("creates and loads a key through its layer", () =>
      Effect.gen(function* () {
        const store = yield* KeyStore
        expect(yield* store.createIfMissing(SharedKey)).toBe(true)
        expect(yield* store.createIfMissing(SharedKey)).toBe(false)
        expect((yield* store.load(SharedKey)).length).toBe(32)
        expect(store.reference).toBe("keyring:sealwire/a/b c")
      }).pipe(Effect.provide(KeyStore.layerKeyring("sealwire", "a/b c")), Effect.runPromise))

    it("reports a missing entry", async () => {
      expect(await errorMessage(KeyringKeys.location("sealwire/nobody"))).toBe(
        "no key from keyring:sealwire/nobody: no key is stored there; create one"
      )
    })

    it("that does not answer fails at the deadline", async () => {
      process.kill(keyring.pid, "SIGSTOP")
      try {
        expect(await errorMessage(KeyringKeys.location("sealwire/stopped", "500 millis"))).toBe(
          `no key from keyring:sealwire/stopped: the keyring did not end within 500ms; ${remedy}`
        )
        expect(runs(/--eval.* sealwire stopped /s)).toBe(false)
      } finally {
        process.kill(keyring.pid, "SIGCONT")
      }
    })

    it("that is locked is reported as locked", async () => {
      // Locked, as in a session that was never unlocked; and there is no screen for a prompt.
      const bus =
        "--dest=org.freedesktop.secrets /org/freedesktop/secrets org.freedesktop.Secret.Service.Lock"
      const lock = `dbus-send --session --print-reply ${bus} array:objpath:/org/freedesktop/secrets/collection/login`
      expect(spawnSync("/bin/sh", ["-c", lock]).status).toBe(0)
      expect(await errorMessage(KeyringKeys.location("sealwire/me"))).toMatch(
        /the keyring cannot be used: .*(locked|unlock|prompt)/i
      )
    })
  }
)

describe("without a keyring", () => {
  it.runIf(
    Keyring.missingRequirement === undefined || !Keyring.missingRequirement.startsWith("npm")
  )("a session without one is reported", async ({ box }) => {
    const { code, stderr } = await box.run(["pubkey", "--identity", "keyring:sealwire/me"], {
      env: { DBUS_SESSION_BUS_ADDRESS: `unix:path=${box.path("none")}` }
    })
    expect([code, stderr]).toEqual([
      3,
      expect.stringContaining("no key from keyring:sealwire/me: the keyring cannot be used: ")
    ])
    expect(stderr).toContain(remedy)
  })

  it("a missing package is named with the command that installs it", async () => {
    const place = KeyringKeys.location("sealwire/me", "1 second", () => {
      throw new Error("Cannot find module")
    })
    const expected = "the package @napi-rs/keyring is not installed; npm install @napi-rs/keyring"
    expect(await errorMessage(place)).toBe(`no key from keyring:sealwire/me: ${expected}`)
  })

  it("a name without service or account is rejected", async () => {
    for (const name of ["", "sealwire", "sealwire/", "/me"])
      expect(await errorMessage(KeyringKeys.location(name))).toContain(
        "invalid keyring name; write it as keyring:SERVICE/ACCOUNT"
      )
  })
})
