// Key providers whose source hangs, is empty, is too long or is missing, and references to them.
import { spawnSync } from "node:child_process"
import {
  chmodSync,
  closeSync,
  fstatSync,
  constants,
  openSync,
  readFileSync,
  writeFileSync,
  writeSync
} from "node:fs"
import path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import { Secret } from "../../src/bytes/Secret.ts"
import * as CredKeys from "../../src/keys/providers/CredKeys.ts"
import * as ExecKeys from "../../src/keys/providers/ExecKeys.ts"
import * as FdKeys from "../../src/keys/providers/FdKeys.ts"
import { kinds, SharedKey } from "../../src/keys/KeyKind.ts"
import { KeyStore } from "../../src/keys/KeyStore.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import { limits } from "../../src/keys/limits.ts"
import type { KeyLocation } from "../../src/keys/Provider.ts"
import { parse, providers } from "../../src/keys/providers/index.ts"
import { runs } from "../cli/Sealwire.ts"
import { sharedFolder } from "../fixtures/folder.ts"

const folder = sharedFolder()

const text = KeyText.encode(SharedKey, Secret.random(32))
const errorMessage = (place: KeyLocation) =>
  Effect.map(Effect.flip(place.read(SharedKey)), ({ message }) => message)
/** Waits until no process has such a command line: a killed one is listed until it is reaped. */
const waitUntilGone = (commandLine: RegExp) =>
  Effect.sync(() => runs(commandLine)).pipe(
    Effect.repeat({ while: (isRunning) => isRunning, schedule: Schedule.spaced("10 millis") }),
    Effect.timeout("5 seconds"),
    Effect.asVoid
  )
const content = (place: KeyLocation) =>
  Effect.map(place.read(SharedKey), (bytes) => Buffer.from(bytes).toString())

describe("a reference", () => {
  const refusal = (reference: string) =>
    Either.match(parse(reference), { onLeft: ({ message }) => message, onRight: () => "" })

  it("that contains a key of any kind is rejected, and the error repeats nothing of it", () => {
    for (const kind of kinds) {
      const secret = Secret.random(32)
      const whole = KeyText.encode(kind, secret)
      const line = whole.split("\n")[1] ?? ""
      const pem = kind.pem?.encode(secret) ?? line
      const forms = [
        line,
        line.toLowerCase(),
        line.slice(0, kind.prefix.length + 4),
        ` ${line}`,
        whole,
        pem,
        `./${line}`
      ]
      for (const form of [...forms, Buffer.from(secret.expose()).toString("hex")])
        for (const before of ["", "alice=", ...providers.map(({ scheme }) => `${scheme}:`)])
          expect(refusal(`${before}${form}`)).toMatch(/^this is a key, [a-zA-Z ,;:'=]*$/)
    }
  })

  it("may be the path of a file with a similar name", () => {
    for (const path of [
      "./SEALWIRE-SHARED-KEY-1",
      "keys/sealwire-file-key-1.txt",
      "sealwire-shared-key.txt",
      "x:y",
      "a.b:c",
      "/a:b"
    ])
      expect(refusal(path)).toBe("")
  })

  it("has a known scheme or none, and a name", () => {
    for (const scheme of ["evn", "ENV", "Exec", "s3+kms"])
      expect(refusal(`${scheme}:KEY`)).toContain(
        `unknown scheme ${scheme}:; known are file:PATH, env:NAME, `
      )
    for (const { scheme, form } of providers)
      expect(refusal(`${scheme}:`)).toBe(`"${scheme}:" names no key; write it as ${form}`)
    expect(refusal("")).toBe('"" names no key; write it as file:PATH')
  })
})

describe.concurrent("exec", () => {
  it.live("fails with the reason in one line", () =>
    Effect.gen(function* () {
      const cases = [
        ["true", "the command printed nothing; run it by hand to see why"],
        ["echo locked >&2", "the command printed nothing: locked; run it by hand to see why"],
        ["exit 7", "the command exited with status 7; run it by hand to see why"],
        [
          "printf 'first\\n\\033[31mno such entry\\n\\n' >&2; exit 1",
          "the command exited with status 1: \\x1b[31mno such entry; run it by hand to see why"
        ],
        ["kill -9 $$", "the command was ended by SIGKILL; run it by hand to see why"]
      ] as const
      for (const [command, message] of cases)
        expect(yield* errorMessage(ExecKeys.location(command))).toBe(
          `no key from exec:${command}: ${message}`
        )
      expect(yield* errorMessage(ExecKeys.location("/no/such/program"))).toMatch(
        /the command exited with status 127: .*not found; run/
      )
      const shouting = yield* errorMessage(
        ExecKeys.location("head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1")
      )
      expect(shouting).toContain(`status 1: ${"x".repeat(limits.errorLineCharacters)}; run`)
    })
  )

  it.live("has no standard input and no terminal", () =>
    Effect.gen(function* () {
      expect(
        yield* content(ExecKeys.location("cat; (exec 3</dev/tty) 2>/dev/null || echo no terminal"))
      ).toBe("no terminal\n")
    })
  )

  it.live("stops reading, and the command, at the limit", () =>
    Effect.gen(function* () {
      const output = yield* content(ExecKeys.location("yes limit-of-sealwire"))
      expect(output).toHaveLength(KeyText.maxKeyText + 1)
      yield* waitUntilGone(/^yes limit-of-sealwire/)
    })
  )

  it.live("that hangs is killed at the deadline, with descendants that ignore SIGTERM", () =>
    Effect.gen(function* () {
      // Unique to this run: another run on the same machine has sleepers too.
      const [one, two, three] = [61, 62, 63].map((seconds) => `sleep ${seconds}.${process.pid}`)
      const command = `trap '' TERM; echo asking >&2; ${one} & (trap '' TERM; ${two}) & wait; wait; ${three}`
      expect(yield* errorMessage(ExecKeys.location(command, "200 millis"))).toContain(
        "the command did not end within 200ms: asking; run it"
      )
      for (const sleeper of [one, two, three]) yield* waitUntilGone(new RegExp(`^${sleeper}`))
    })
  )

  it.live("whose child holds the output open has ended when it exits, and the child lives on", () =>
    Effect.gen(function* () {
      const child = "{ sleep 0.2; echo late; exec sleep 64; }"
      const output = yield* content(ExecKeys.location(`${child} & echo $!`, "10 seconds"))
      const [pid, ...late] = output.split("\n")
      expect(late).toEqual(["late", ""])
      // Throws if there is no such process.
      process.kill(Number(pid), "SIGKILL")
    })
  )

  it.live("is killed when the load is interrupted", () =>
    Effect.gen(function* () {
      const sleeper = `sleep 65.${process.pid}`
      const asleep = new RegExp(`^${sleeper}`)
      const fiber = yield* Effect.fork(ExecKeys.location(sleeper).read(SharedKey))
      yield* Effect.repeat(
        Effect.delay(
          Effect.sync(() => runs(asleep)),
          "10 millis"
        ),
        { until: (isRunning) => isRunning }
      )
      yield* Fiber.interrupt(fiber)
      yield* waitUntilGone(asleep)
    })
  )

  it.live("that is too long for the system or contains a zero byte is rejected", () =>
    Effect.gen(function* () {
      expect(yield* errorMessage(ExecKeys.location(`: ${"x".repeat(3_000_000)}`))).toContain(
        "the command cannot be run (E2BIG)"
      )
      expect(yield* errorMessage(ExecKeys.location("a\0b"))).toContain(
        "the command cannot be run (ERR_INVALID_ARG_VALUE)"
      )
    })
  )
})

describe("fd", () => {
  /** Both ends of a pipe. */
  const fifo = (name: string) => {
    const file = path.join(folder, name)
    spawnSync("mkfifo", ["-m", "600", file])
    const reader = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
    return { reader, writer: openSync(file, constants.O_WRONLY) }
  }

  it.live("reads a pipe to its end, in several chunks", () =>
    Effect.gen(function* () {
      const { reader, writer } = fifo("pieces")
      const fiber = yield* Effect.fork(content(FdKeys.location(String(reader))))
      for (const piece of [text.slice(0, 10), text.slice(10)]) {
        writeSync(writer, piece)
        yield* Effect.sleep("20 millis")
      }
      closeSync(writer)
      expect(yield* Fiber.join(fiber)).toBe(text)
    })
  )

  it.live("is closed after reading, and not read again: its number may be another file's", () =>
    Effect.gen(function* () {
      const file = path.join(folder, "once")
      writeFileSync(file, text)
      const descriptor = openSync(file, "r")
      const location = FdKeys.location(String(descriptor))
      expect(yield* content(location)).toBe(text)
      expect(() => fstatSync(descriptor)).toThrow("EBADF")
      expect(yield* errorMessage(location)).toContain(
        `file descriptor ${descriptor} was read before`
      )
    })
  )

  it.live("without a writer fails at the deadline", () =>
    Effect.gen(function* () {
      const { reader, writer } = fifo("silent")
      expect(yield* errorMessage(FdKeys.location(String(reader), "100 millis"))).toBe(
        `no key from fd:${reader}: file descriptor ${reader} did not end within 100ms; open it in the shell: ${reader}< FILE`
      )
      closeSync(writer)
    })
  )

  it.live("stops reading at the limit", () =>
    Effect.gen(function* () {
      const { reader, writer } = fifo("long")
      writeSync(writer, "#".repeat(20_000))
      expect(yield* content(FdKeys.location(String(reader)))).toHaveLength(KeyText.maxKeyText + 1)
      closeSync(writer)
      const zeros = openSync("/dev/zero", "r")
      expect(yield* content(FdKeys.location(String(zeros)))).toHaveLength(KeyText.maxKeyText + 1)
      expect(() => closeSync(zeros)).toThrow("EBADF")
    })
  )

  it.live("fails with the reason", () =>
    Effect.gen(function* () {
      const directory = openSync(folder, "r")
      const empty = openSync("/dev/null", "r")
      const cases = [
        ["999999", "file descriptor 999999 is not open"],
        [String(directory), `file descriptor ${directory} is neither a file nor a pipe`],
        [String(empty), `file descriptor ${empty} is empty`],
        ["-1", '"-1" is not a number; write it as fd:3'],
        ["", '"" is not a number; write it as fd:3']
      ] as const
      for (const [name, message] of cases)
        expect(yield* errorMessage(FdKeys.location(name))).toContain(
          `no key from fd:${name}: ${message}`
        )
      closeSync(directory)
    })
  )
})

describe("cred", () => {
  const place = (name: string) => CredKeys.location(name, { CREDENTIALS_DIRECTORY: folder })

  it.effect("accepts the modes that systemd sets, and no others", () =>
    Effect.gen(function* () {
      const file = path.join(folder, "modes")
      writeFileSync(file, text)
      for (const mode of [0o400, 0o440, 0o600]) {
        chmodSync(file, mode)
        expect(yield* content(place("modes"))).toBe(text)
      }
      for (const mode of [0o404, 0o444, 0o460, 0o402]) {
        chmodSync(file, mode)
        expect(yield* errorMessage(place("modes"))).toContain(
          "key refused: cred:modes: others can read or change it"
        )
      }
      expect(readFileSync(file, "utf8")).toBe(text)
    })
  )

  it.effect("rejects names that leave its folder", () =>
    Effect.gen(function* () {
      for (const name of ["../modes", "a/b", "..", ".", "", "a\0b"])
        expect(yield* errorMessage(place(name))).toContain("invalid credential name")
    })
  )

  it.effect("fails when systemd passed none", () =>
    Effect.gen(function* () {
      expect(yield* errorMessage(CredKeys.location("key", {}))).toBe(
        "no key from cred:key: $CREDENTIALS_DIRECTORY is not set: systemd passed no credentials to this program; add to the unit: LoadCredential=key:/path/of/the/key"
      )
      expect(yield* errorMessage(place("none"))).toContain(
        "no key from cred:none: systemd passed no credential of that name; add to"
      )
    })
  )
})

it.live("every provider has a layer", () =>
  Effect.gen(function* () {
    writeFileSync(path.join(folder, "key"), text, { mode: 0o600 })
    const load = Effect.flatMap(KeyStore, (store) => store.load(SharedKey))
    const descriptor = openSync(path.join(folder, "key"), "r")
    const before = process.env.CREDENTIALS_DIRECTORY
    process.env.CREDENTIALS_DIRECTORY = folder
    const keys = yield* Effect.all(
      [
        KeyStore.layerFile(path.join(folder, "key")),
        KeyStore.layerFd(descriptor),
        KeyStore.layerExec(`cat ${path.join(folder, "key")}`),
        KeyStore.layerCredential("key")
      ].map((layer) => Effect.provide(load, layer))
    )
    process.env.CREDENTIALS_DIRECTORY = before
    for (const key of keys) expect(KeyText.encode(SharedKey, key)).toBe(text)
  })
)
