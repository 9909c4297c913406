// An unauthenticated client of `classic serve` costs a line in the log, and affects no other
// client.
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { randomInt } from "node:crypto"
import { readFileSync } from "node:fs"
import type { Socket } from "node:net"
import { describe, expect } from "vitest"
import { Secret } from "../../src/bytes/Secret.ts"
import { Cipher } from "../../src/classic/Cipher.ts"
import type { KeyedCipher } from "../../src/classic/CipherKind.ts"
import { ciphers } from "../../src/classic/ciphers.ts"
import { KeyStore } from "../../src/keys/KeyStore.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import { runs } from "../fixtures/sample.ts"
import { it, linesOf, within, type Box, type Options, type Server } from "../cli/Sealwire.ts"
import { answerOf, connected, exchange, type Answer } from "../interop/Plain.ts"

// Keys and garbage are fixed: under aes-128-cbc one of 256 wrong messages decrypts by chance, and
// these do not.
const rightKey = Buffer.alloc(32, 0x11)
const wrongKey = Buffer.alloc(32, 0x22)
const garbage = (length: number): Buffer => Buffer.alloc(length, 0xa5)

const MiB = 1024 * 1024

/** Returns the cipher with this key. */
const cipherWith = (cipher: string, key: Buffer): KeyedCipher => {
  const kind = ciphers.find(({ name }) => name === cipher)
  if (kind === undefined) throw new Error(cipher)
  return kind.make(kind.key.make(new Secret(key)))
}

interface Fixture {
  readonly server: Server
  readonly good: KeyedCipher
  readonly bad: KeyedCipher
  /** Sends a valid message and waits until the server has printed it. */
  readonly sendValid: (text: string) => Promise<Answer>
  /** The refusals that the server logged, without the addresses of peers. */
  readonly log: () => ReadonlyArray<string>
}

/** A process of the server's own: its memory is measured, or its output blocked. */
const ownProcess = { process: true } as const

const start = async (box: Box, cipher: string, options?: Options): Promise<Fixture> => {
  const kind = ciphers.find(({ name }) => name === cipher)
  if (kind === undefined) throw new Error(cipher)
  box.write("the.key", KeyText.encode(kind.key, new Secret(rightKey)))
  // At level debug, where each refusal has a line; the first of each kind has one at any level.
  const server = await box.serve(
    ["--cipher", cipher, "--key", "the.key", "--log-level", "debug"],
    options
  )
  const before = linesOf(server.stderr).length
  const good = cipherWith(cipher, rightKey)
  return {
    server,
    good,
    bad: cipherWith(cipher, wrongKey),
    sendValid: async (text) => {
      const answer = await exchange(box, server.port, good.encrypt(Buffer.from(text)))
      await server.until(`the valid message ${text}`, ({ stdout }) =>
        linesOf(stdout.toString()).includes(text)
      )
      return answer
    },
    log: () =>
      linesOf(server.stderr)
        .slice(before)
        .filter((line) => line.includes("refused"))
        .map((line) => line.replace(/127\.0\.0\.1:\d+/, "PEER"))
  }
}

const refused = (reason: string) => `sealwire: warning: refused a message from PEER: ${reason}`
/** The line of a refusal that is not the first of its source and reason. */
const repeated = (reason: string) => `sealwire: refused PEER: ${reason}`
const doesNotDecrypt = (bytes: string) =>
  refused(`it does not decrypt with this key and cipher (${bytes})`)

const silence: Answer = { bytes: Buffer.alloc(0), ending: "FIN" }

const logged = (server: Server, log: Fixture["log"], count: number) =>
  server.until(`${count} lines in the log`, () => log().length >= count)

/** Returns the resident memory in bytes: the current or the highest value. */
const memory = (pid: number, which: "VmRSS" | "VmHWM"): number =>
  Number(
    new RegExp(`${which}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]
  ) * 1024

/** Writes all bytes, or as many as the peer takes before it closes. */
const flood = (socket: Socket, bytes: Uint8Array): Promise<void> =>
  new Promise((resolve) => {
    socket.once("close", () => resolve())
    socket.write(bytes, () => resolve())
  })

const cipherNames = ["aes-128-cbc", "aes-256-gcm"] as const
/** An incomplete message is not decrypted: one cipher will do for its memory, another in each run. */
const first = randomInt(2)
const flooded = runs(1, 2) === 2 ? cipherNames : cipherNames.slice(first, first + 1)

describe.each(cipherNames)("a server with %s", (cipher) => {
  it("logs one line for each invalid message, and ends it like a valid one", async ({ box }) => {
    const { server, good, bad, sendValid, log } = await start(box, cipher)
    const text = good.encrypt(Buffer.from("changed on the way"))
    const changed = Buffer.from(text)
    // The last bit of a tag; of a CBC message the padding, which is then 15 where 14 are, or 0.
    changed.writeUInt8(
      (changed.at(cipher === "aes-128-cbc" ? -17 : -1) ?? 0) ^ 1,
      changed.length - (cipher === "aes-128-cbc" ? 17 : 1)
    )
    const attacks: ReadonlyArray<readonly [Uint8Array, string]> = [
      [garbage(0), refused("the connection sent no bytes")],
      [garbage(1), doesNotDecrypt("1 byte")],
      [garbage(15), doesNotDecrypt("15 bytes")],
      [garbage(16), doesNotDecrypt("16 bytes")],
      [garbage(17), doesNotDecrypt("17 bytes")],
      [garbage(1000), doesNotDecrypt("1,000 bytes")],
      [
        bad.encrypt(Buffer.from("under another key")),
        doesNotDecrypt(`${bad.encrypt(Buffer.from("under another key")).length} bytes`)
      ],
      [changed, doesNotDecrypt(`${changed.length} bytes`)],
      [text.subarray(0, -1), doesNotDecrypt(`${text.length - 1} bytes`)],
      [Buffer.concat([text, garbage(16)]), doesNotDecrypt(`${text.length + 16} bytes`)]
    ]
    for (const [index, [bytes, line]] of attacks.entries()) {
      expect(await exchange(box, server.port, bytes)).toEqual(silence)
      await logged(server, log, index + 1)
      // The first two are the first of their reasons.
      expect(log().at(-1)).toBe(index < 2 ? line : repeated("does not open"))
      expect(await sendValid(`after attack ${index}`)).toEqual(silence)
    }
    expect(log()).toHaveLength(attacks.length)
    expect(linesOf(server.stdout.toString())).toHaveLength(attacks.length)
  })

  it("survives a connection that is cut off", async ({ box }) => {
    const { server, good, sendValid, log } = await start(box, cipher)
    const attacker = await connected(box, server.port)
    const whole = good.encrypt(Buffer.from("a whole message, but no end"))
    await within(new Promise((done) => attacker.write(whole, done)), "the message is on its way")
    expect(await sendValid("before the cut")).toEqual(silence)
    expect(log()).toEqual([])

    attacker.resetAndDestroy()
    await logged(server, log, 1)
    expect(log()).toEqual([
      refused(`the connection was lost before the end of the message (${whole.length} bytes)`)
    ])
    expect(await sendValid("after the cut")).toEqual(silence)
    expect(linesOf(server.stdout.toString())).toEqual(["before the cut", "after the cut"])
  })
})

describe.each(flooded)("a server with %s under a flood", (cipher) => {
  it("accepts at most 8 MiB of garbage per connection, and keeps none of it", async ({ box }) => {
    const { server, sendValid, log } = await start(box, cipher, ownProcess)
    await sendValid("first")
    const before = memory(server.pid, "VmRSS")
    const floods = Array.from({ length: 5 }, async () => {
      const attacker = await connected(box, server.port)
      const answer = answerOf(attacker)
      await flood(attacker, garbage(10 * MiB))
      attacker.end()
      return answer
    })
    expect(await sendValid("during")).toEqual(silence)
    for (const answer of await Promise.all(floods)) expect(answer.bytes).toHaveLength(0)
    await logged(server, log, floods.length)
    expect(await sendValid("after")).toEqual(silence)

    const [line, ...others] = log()
    expect(line).toMatch(
      /: it exceeds the maximum length of a classic message \(8,[3-6]\d\d,\d{3} bytes\)$/
    )
    expect(new Set(others)).toEqual(new Set([repeated("too long")]))
    expect(log()).toHaveLength(floods.length)
    expect(memory(server.pid, "VmHWM") - before).toBeLessThan(150 * MiB)
    expect(server.alive).toBe(true)
  })

  it("closes the largest of many incomplete messages above the total limit", async ({ box }) => {
    const { server, sendValid, log } = await start(box, cipher, ownProcess)
    await sendValid("first")
    const before = memory(server.pid, "VmRSS")
    // 40 x 7 MiB, all incomplete: more than the total limit of 64 MiB, so at least 31 are closed.
    const attackers = await Promise.all(
      Array.from({ length: 40 }, () => connected(box, server.port))
    )
    const answers = attackers.map(answerOf)
    await Promise.all(attackers.map((attacker) => flood(attacker, garbage(7 * MiB))))
    expect(await sendValid("between giants")).toEqual(silence)

    const crowded =
      /^sealwire: warning: refused a message from PEER: incomplete messages exceeded the memory limit, and this was the largest \([\d,]+ bytes\)$/
    await logged(server, log, 31)
    const [line, ...others] = log()
    expect(line).toMatch(crowded)
    expect(new Set(others)).toEqual(new Set([repeated("crowded out")]))
    expect(memory(server.pid, "VmHWM") - before).toBeLessThan(200 * MiB)

    for (const attacker of attackers) attacker.resetAndDestroy()
    await logged(server, log, attackers.length)
    for (const { bytes } of await Promise.all(answers)) expect(bytes).toHaveLength(0)
    expect(await sendValid("after")).toEqual(silence)
    expect(log()).toHaveLength(attackers.length)
  })
})

// These two wait for deadlines, at the same time.
describe.concurrent("a server with 500 silent connections", () => {
  it("serves other clients at once, closes silent ones after 10 seconds, and logs one line for each", async ({
    box
  }) => {
    const { server, sendValid, log } = await start(box, "aes-128-cbc", ownProcess)
    const before = memory(server.pid, "VmRSS")
    const attackers = await Promise.all(
      Array.from({ length: 500 }, () => connected(box, server.port))
    )
    const answers = attackers.map(answerOf)
    expect(await sendValid("among the silent")).toEqual(silence)
    expect(
      (await box.send(server, ["another client among the silent", "--key", "the.key"])).code
    ).toBe(0)
    expect(memory(server.pid, "VmRSS") - before).toBeLessThan(150 * MiB)
    expect(log()).toEqual([])

    // The server closes each connection after 10 seconds.
    expect(await Promise.all(answers)).toEqual(attackers.map(() => silence))
    await logged(server, log, attackers.length)
    expect(new Set(log())).toEqual(
      new Set([refused("the connection sent no bytes"), repeated("nothing sent")])
    )
    expect(log()).toHaveLength(attackers.length)
    expect(await sendValid("afterwards")).toEqual(silence)
  })
})

describe.concurrent("a server with blocked output", () => {
  it("ends valid and invalid connections in the same way, and stops on a signal", async ({
    box
  }) => {
    const { server, good } = await start(box, "aes-128-cbc", ownProcess)
    server.stallReader()
    // More than a pipe holds: the server blocks on this message, and the peer must not notice.
    expect(await exchange(box, server.port, good.encrypt(Buffer.alloc(4 * MiB, "x")))).toEqual(
      silence
    )
    expect(await exchange(box, server.port, garbage(16))).toEqual(silence)
    expect(await exchange(box, server.port, good.encrypt(Buffer.from("later")))).toEqual(silence)

    server.kill("SIGTERM")
    expect(await server.exited(20_000)).toBe(0)
  })
})

describe("a changed message", () => {
  const text = Buffer.from("Hello Server!")

  it.for(["aes-128-cbc-hmac-sha256", "aes-256-gcm"])(
    "under %s does not decrypt with any one bit changed",
    async (name) => {
      const kind = ciphers.find((each) => each.name === name)
      if (kind === undefined) throw new Error(name)
      const key = KeyText.encode(kind.key, new Secret(rightKey))
      const layer = Cipher.layer(kind).pipe(Layer.provide(KeyStore.layerMemory(key)))

      const opened = await Effect.gen(function* () {
        const cipher = yield* Cipher
        const sealed = yield* cipher.encrypt(text)
        expect(yield* cipher.decrypt(sealed)).toEqual(text)
        const changes = Array.from({ length: sealed.length * 8 }, (_, bit) => {
          const changed = Buffer.from(sealed)
          changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
          return changed
        })
        expect(changes.length).toBeGreaterThanOrEqual(8 * (12 + text.length + 16))
        return yield* Effect.filter(changes, (changed) => Effect.isSuccess(cipher.decrypt(changed)))
      }).pipe(Effect.provide(layer), Effect.runPromise)
      expect(opened).toEqual([])
    }
  )
})
