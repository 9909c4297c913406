// The built package as its users import it: entry points with types, and closed internals.
import { execFileSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync, readdirSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { pathToFileURL } from "node:url"
import { build } from "esbuild"
import { expect, it } from "vitest"

const root = path.resolve(import.meta.dirname, "../..")

const { exports } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as {
  exports: Record<string, string | { types: string }>
}

it("exports its entry points with types", async () => {
  const entry = (await import("sealwire" as string)) as Record<string, unknown>
  for (const name of [
    "KeyStore",
    "Cipher",
    "Transport",
    "Classic",
    "Server",
    "MessageClient",
    "Inbox",
    "PortInUse",
    "DecryptFailed",
    "KeyFileMissing"
  ])
    expect(entry[name]).toBeDefined()
  const types = Object.values(exports).flatMap((entry) =>
    typeof entry === "string" ? [] : [entry.types]
  )
  expect(types.length).toBeGreaterThan(1)
  expect(types.filter((file) => !existsSync(path.join(root, file)))).toEqual([])
})

it("encrypts and decrypts in worker threads of a user's program", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "sealwire-package-"))
  try {
    const content = Buffer.alloc(17 * 1024 * 1024, randomBytes(1021))
    writeFileSync(path.join(folder, "plain"), content)
    const program = `
      import { EncryptedFile, Input, Output, Recipients, Secret } from "sealwire"
      import * as Effect from "effect/Effect"
      let threads = 0
      process.on("worker", () => threads++)
      const key = Secret.random(32)
      const [plain, sealed, again] = process.argv.slice(1)
      const to = (file) => Output.toFile(file, { overwrite: false, mode: 0o600 })
      const encrypt = Effect.gen(function* () {
        const output = yield* to(sealed)
        yield* EncryptedFile.encrypt(yield* Input.fromFile(plain), output, Recipients.FileKey({ key }))
        yield* output.commit
      })
      const decrypt = Effect.gen(function* () {
        const [input, output] = [yield* Input.fromFile(sealed), yield* to(again)]
        yield* EncryptedFile.decrypt(input, output, yield* EncryptedFile.unlock(input, { fileKey: Effect.succeed(key) }))
        yield* output.commit
      })
      await Effect.runPromise(Effect.scoped(encrypt))
      const first = threads
      await Effect.runPromise(Effect.scoped(decrypt))
      console.log(first, threads - first)`
    const files = ["plain", "sealed", "again"].map((name) => path.join(folder, name))
    const output = execFileSync(
      process.execPath,
      ["--input-type=module", "-e", program, ...files],
      {
        cwd: root,
        encoding: "utf8"
      }
    )
    expect(output).toBe("2 2\n")
    expect(readFileSync(path.join(folder, "again")).equals(content)).toBe(true)
    expect(readFileSync(path.join(folder, "sealed")).includes(content.subarray(0, 64))).toBe(false)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

it("does not export its internals", () => {
  const code = (name: string) =>
    `import(${JSON.stringify(name)}).then(() => "open", (error) => error.code).then(console.log)`
  const ask = (name: string) =>
    execFileSync(process.execPath, ["-e", code(name)], { cwd: root, encoding: "utf8" }).trim()
  const entryPoints = Object.keys(exports).flatMap((entry) =>
    entry.endsWith(".json") ? [] : [entry.slice(1)]
  )
  expect(entryPoints.length).toBeGreaterThan(10)
  for (const entry of entryPoints) expect(ask(`sealwire${entry}`)).toBe("open")
  for (const internal of ["sealwire/dist/lib/keys/KeyPair.js", "sealwire/keys/KeyStore"])
    expect(ask(internal)).toBe("ERR_PACKAGE_PATH_NOT_EXPORTED")
})

/** Bundles a program as a user does, and returns the sizes of its parts by package, in bytes. */
const bundled = async (program: string) => {
  const { metafile } = await build({
    stdin: { contents: program, resolveDir: root },
    // The build and not the sources, to which tsconfig.json maps the entry points.
    tsconfigRaw: {},
    bundle: true,
    minify: true,
    write: false,
    platform: "node",
    format: "esm",
    metafile: true
  })
  const sizes = { ours: 0, others: new Set<string>() }
  for (const output of Object.values(metafile.outputs))
    for (const [file, { bytesInOutput }] of Object.entries(output.inputs)) {
      if (bytesInOutput === 0) continue
      const other = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1]
      if (other !== undefined) sizes.others.add(other)
      else if (file.startsWith("dist/lib")) sizes.ours += bytesInOutput
    }
  return sizes
}

it("a message client bundles without optional packages, in 85 KB of this package", async () => {
  const { ours, others } = await bundled(`
    import { Address, MessageClient, Secret, Transport } from "sealwire/messages"
    import * as Effect from "effect/Effect"
    const options = { address: Address.tcp("::1", 1), keys: { psk: Secret.random(32) } }
    const sent = Effect.flatMap(MessageClient.connect(options), ({ send }) => send([]))
    void Effect.runPromise(sent.pipe(Effect.scoped, Effect.provide(Transport.layerNet)))`)
  expect([...others].toSorted()).toEqual(["@scure/base", "effect"])
  expect(ours).toBeGreaterThan(10_000)
  expect(ours).toBeLessThan(85_000)
})

/** The packages of databases that a bundler finds behind an entry point. */
const databases = async (entry: string) => {
  const { metafile } = await build({
    stdin: { contents: `export * from "${entry}"`, resolveDir: root },
    tsconfigRaw: {},
    bundle: true,
    write: false,
    platform: "node",
    format: "esm",
    external: ["libsql"],
    metafile: true,
    logLevel: "silent"
  })
  const imported = Object.values(metafile.inputs).flatMap(({ imports }) =>
    imports.map(({ path, original }) => original ?? path)
  )
  const packages = imported.flatMap(
    (name) => /^(?:libsql|pg|@effect\/(?:sql|sql-pg|experimental))(?=\/|$)/.exec(name) ?? []
  )
  return [...new Set(packages)].toSorted()
}

it("only entry points of databases name their packages, which a bundler would look for", async () => {
  for (const entry of ["sealwire", "sealwire/messages", "sealwire/transfer", "sealwire/tunnel"])
    expect(await databases(entry)).toEqual([])
  expect(await databases("sealwire/sql")).toEqual(["@effect/experimental", "@effect/sql"])
  expect(await databases("sealwire/inbox")).toEqual(
    expect.arrayContaining(["@effect/sql-pg", "libsql"])
  )
})

it("ships a V8 code cache that this Node accepts", () => {
  // In another process: V8 accepts a cache only with the flags that created it.
  const parts = path.join(root, "dist/sealwire")
  const main = path.join(
    parts,
    readdirSync(parts).find((name) => name.startsWith("main-") && name.endsWith(".cjs")) ?? ""
  )
  const script = pathToFileURL(path.join(root, "scripts/command/script.ts")).href
  const code = `import { readFileSync } from "node:fs"
    import { scriptOf } from ${JSON.stringify(script)}
    const main = ${JSON.stringify(main)}
    console.log(scriptOf(main, readFileSync(main, "latin1"), readFileSync(main + ".compiled")).cachedDataRejected)`
  const args = ["--import", "tsx", "--input-type=module", "-e", code]
  expect(execFileSync(process.execPath, args, { cwd: root, encoding: "utf8" }).trim()).toBe("false")
})
