// Interoperability with the openssl command, and with C++ programs like the original ones that use
// the OpenSSL library.
import { sample, sampled } from "../fixtures/sample.ts"
import { spawnSync } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs"
import path from "node:path"
import { beforeAll, describe, expect } from "vitest"
import { it, type Box, type Running } from "../cli/Sealwire.ts"
import { recordingServer, exchange, type Place } from "./Plain.ts"

const has = (program: string): boolean => spawnSync(program, ["--version"]).error === undefined
const hasOpenssl = spawnSync("openssl", ["version"]).status === 0
const hasCompiler = has("g++") && existsSync("/usr/include/openssl/evp.h")

const silence = { bytes: Buffer.alloc(0), ending: "FIN" }

/** Runs `openssl enc -aes-128-cbc` with the key and IV of an aes_key.bin. */
const openssl = async (
  box: Box,
  key: Buffer,
  direction: "-e" | "-d",
  input: Uint8Array
): Promise<Buffer> => {
  const hex = ["-K", key.toString("hex", 0, 16), "-iv", key.toString("hex", 16)]
  const { code, stdout, stderr } = await box.runOther(
    "openssl",
    ["enc", "-aes-128-cbc", direction, ...hex],
    { stdin: input }
  )
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  return stdout
}

/** Lengths around block boundaries, and the maximum of the original server. */
const texts = [0, 1, 15, 16, 17, 500, 1023].map((length) => [length, randomBytes(length)] as const)

describe.runIf(hasOpenssl)(sampled("the openssl command"), () => {
  it.for(sample(texts, 4))(
    "encrypts %i bytes that classic serve prints",
    async ([, text], { box }) => {
      const key = randomBytes(32)
      box.writeKey(key)
      const server = await box.serve(["--once"])
      expect(await exchange(box, server.port, await openssl(box, key, "-e", text))).toEqual(silence)
      expect(await server.ended()).toMatchObject({ code: 0, stdout: text })
    }
  )

  it.for(sample(texts, 4))("decrypts %i bytes of classic send", async ([, text], { box }) => {
    const key = randomBytes(32)
    box.writeKey(key)
    const { place, received } = await recordingServer(box)
    expect(
      (await box.run(["classic", "send", "-", "--to", `:${place}`], { stdin: text })).code
    ).toBe(0)
    const wire = Buffer.concat([...(await received())])
    expect(wire).toHaveLength(text.length + 16 - (text.length % 16))
    expect(await openssl(box, key, "-d", wire)).toEqual(text)
  })

  it("encrypts and decrypts over a Unix socket", async ({ box }) => {
    const [key, text] = [randomBytes(32), randomBytes(100)]
    box.writeKey(key)
    const server = await box.serve(["--once", "--listen", "unix:./server.sock"])
    expect(
      await exchange(box, box.path("server.sock"), await openssl(box, key, "-e", text))
    ).toEqual(silence)
    expect((await server.ended()).stdout).toEqual(text)

    const { received } = await recordingServer(box, box.path("receiver.sock"))
    expect(
      (await box.run(["classic", "send", "--to", box.path("receiver.sock")], { stdin: text })).code
    ).toBe(0)
    expect(await openssl(box, key, "-d", Buffer.concat([...(await received())]))).toEqual(text)
  })
})

describe("the wire format of the original programs", () => {
  const key = Buffer.from("d132e6dc58223e4b68118df9725a16f6f4a4176db5c3825404bcd5d67df8de9b", "hex")
  const wire = Buffer.from("aa2ce453438ce0ea54e75c5d8d125eb0", "hex")

  it("for Hello Server! is 16 bytes in one write, then FIN, and nothing else", async ({ box }) => {
    box.writeKey(key)
    const { place, received, connections } = await recordingServer(box)
    expect((await box.run(["classic", "send", "--to", `127.0.0.1:${place}`])).code).toBe(0)
    expect(await received()).toEqual([wire])
    expect(connections()).toBe(1)
  })

  it("is decrypted and printed", async ({ box }) => {
    box.writeKey(key)
    const server = await box.serve(["--once"])
    expect(await exchange(box, server.port, wire)).toEqual(silence)
    expect((await server.ended()).stdout.toString()).toBe("Hello Server!")
  })

  it("for the longest text, 1,023 bytes, is one write of 1,024", async ({ box }) => {
    box.writeKey(key)
    const { place, received } = await recordingServer(box)
    await box.run(["classic", "send", "--to", `127.0.0.1:${place}`], {
      stdin: Buffer.alloc(1023, "x")
    })
    expect((await received()).map(({ length }) => length)).toEqual([1024])
  })
})

describe.runIf(hasCompiler)("a C++ program like the original one", () => {
  const programs = { "origin-client": "", "origin-server": "" }

  beforeAll(() => {
    // Kept: to compile takes longer than all tests of this file.
    const cache = path.resolve(import.meta.dirname, "../../node_modules/.cache/origin")
    mkdirSync(cache, { recursive: true })
    for (const name of Object.keys(programs) as Array<keyof typeof programs>) {
      const source = path.join(import.meta.dirname, `${name}.cpp`)
      const content = createHash("sha256").update(readFileSync(source)).digest("hex")
      const program = (programs[name] = path.join(cache, `${name}-${content.slice(0, 16)}`))
      if (existsSync(program)) continue
      const partial = `${program}.${process.pid}`
      const { status, stderr } = spawnSync("g++", ["-o", partial, source, "-lcrypto"], {
        timeout: 180_000
      })
      if (status !== 0) throw new Error(`g++: ${stderr.toString()}`)
      renameSync(partial, program)
    }
  })

  const originServer = async (box: Box): Promise<readonly [Running, Place]> => {
    const server = box.startOther(programs["origin-server"], ["aes_key.bin"])
    return [
      server,
      await server.until("the port", ({ stderr }) => /^port (\d+)\n/.exec(stderr)?.[1])
    ]
  }

  it.for([
    ["Hello Server!", "Hello Server!"],
    ["an empty text", ""],
    ["the longest text", "y".repeat(1023)]
  ])("the client sends %s under the key that classic serve created", async ([, text], { box }) => {
    const server = await box.serve(["--once"])
    const client = await box.runOther(programs["origin-client"], [
      "aes_key.bin",
      String(server.port),
      text ?? ""
    ])
    expect(client.code).toBe(0)
    expect(await server.ended()).toMatchObject({ code: 0, stdout: Buffer.from(text ?? "") })
  })

  it.for([
    ["Hello Server!", undefined],
    ["the longest text", "z".repeat(1023)]
  ])(
    "the server receives %s in one recv, under the key that it created",
    async ([, text], { box }) => {
      const [server, port] = await originServer(box)
      const sent = await box.run([
        "classic",
        "send",
        "--to",
        `127.0.0.1:${port}`,
        ...(text === undefined ? [] : [text])
      ])
      expect(sent.code).toBe(0)
      expect(await server.ended()).toMatchObject({
        code: 0,
        stdout: Buffer.from(text ?? "Hello Server!")
      })
    }
  )

  it("the server fails with 1,024 bytes, which classic send refuses by default", async ({
    box
  }) => {
    const [server, port] = await originServer(box)
    await box.run(["classic", "send", "--any-length", "--to", `127.0.0.1:${port}`], {
      stdin: Buffer.alloc(1024, "w")
    })
    expect((await server.ended()).code).toBe(6)
  })
})
