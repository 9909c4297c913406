// Examples of docstrings are run as they are printed, each in a program that has what it names.
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { expect, it } from "vitest"
import { root } from "./Page.ts"

/** Files whose examples are run, and how many they have. */
const files: Readonly<Record<string, number>> = {
  "src/channel/ChannelStreams.ts": 2,
  "src/files/EncryptedFile.ts": 2,
  "src/platform/SocketTransport.ts": 3,
  "src/services/messages/MessageClient.ts": 2,
  "src/services/messages/MessageService.ts": 3,
  "src/services/messages/SchemaClient.ts": 1,
  "src/services/transfer/FileClient.ts": 4,
  "src/transports/Connection.ts": 1
}

const examplesOf = (file: string): ReadonlyArray<string> =>
  [
    ...readFileSync(path.join(root, file), "utf8").matchAll(
      /^ \* @example\n((?: \*.*\n)*?) \*\/$/gm
    )
  ].map(([, code = ""]) => code.replaceAll(/^ \* ?/gm, ""))

/** The program before the examples: it has what they name. */
const before = `
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import { FileSystem } from "@effect/platform/FileSystem"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as sealwire from "sealwire"
import { SocketTransport } from "sealwire/platform"
const { Address, Channel, Connection, Credentials, EncryptedFile, FileClient, FileService } = sealwire
const { KeyStore, MessageClient, MessageService, Recipients, Secret, Server, SharedKey, Transport, dial } = sealwire

const key = Secret.random(32)
const serverKey = sealwire.KeyPair.generate().publicKey
const keys = Credentials.sharedKey
const lines = Stream.make("one", "two")
class Order extends Schema.Class("Order")({ item: Schema.String, count: Schema.Int }) {}
class Orders extends Context.Tag("Orders")() {}
const drained = (read) => Effect.repeat(read, { until: (item) => item === undefined })
const greeting = {
  name: "greeting",
  run: ({ channel }) =>
    channel.write(Buffer.from("hello")).pipe(Effect.zipRight(channel.end), Effect.zipRight(drained(channel.read)))
}
const example = (name, body) =>
  Effect.gen(function* () {
    const address = (yield* Server.Server).address
    const fileSystem = yield* FileSystem
    const transport = yield* Transport
    const listener = yield* transport.listen(Address.tcp("127.0.0.1", 0), (accepted) =>
      Effect.ignore(Effect.zipRight(accepted.end, drained(accepted.read)))
    )
    const connection = yield* transport.connect(listener.address)
    const channel = yield* dial({ address, keys }, "greeting")
    const client = yield* MessageClient.connect({ address, keys })
    const free = Address.tcp("127.0.0.1", 0)
    // A server of the example listens at an address of its own.
    yield* body({ address: name.includes("MessageService") ? free : address, channel, client, connection, fileSystem, services })
    console.log(name)
  }).pipe(Effect.scoped, Effect.timeout("20 seconds"))
const services = [
  greeting,
  MessageService.service(() => Effect.void),
  FileService.service({ folder: "there", onStored: () => Effect.void, onDiskFailed: () => Effect.void })
]
const Stores = KeyStore.layerMemory().pipe(KeyStore.creating(SharedKey))
const listening = Server.layer({ address: Address.tcp("server", 1), keys: Server.sharedKey, services })
const Client = Layer.provide(MessageClient.layer({ address: Address.tcp("server", 1), keys }), listening)
const all = []
`

const after = `
for (const one of all)
  await Effect.runPromise(
    one.pipe(
      Effect.provide(Layer.merge(listening, Client)),
      Effect.provide([Stores, Transport.layerMemory(), NodeFileSystem.layer])
    )
  )
`

it("every example of the files runs", { timeout: 120_000 }, () => {
  const names: Array<string> = []
  const code = Object.entries(files).flatMap(([file, count]) => {
    const examples = examplesOf(file)
    expect([file, examples.length]).toEqual([file, count])
    return examples.map((body, index) => {
      const name = `${file} ${index}`
      names.push(name)
      return `all.push(example(${JSON.stringify(name)}, ({ address, channel, client, connection, fileSystem, services }) =>
  Effect.gen(function* () {\n${body}})))`
    })
  })
  const program = path.join(root, "dist/docs/docstrings.ts")
  mkdirSync(path.dirname(program), { recursive: true })
  writeFileSync(program, `// @ts-nocheck\n${before}${code.join("\n")}${after}`)
  const folder = mkdtempSync(path.join(tmpdir(), "sealwire-docstrings-"))
  for (const name of ["photos", "there"]) mkdirSync(path.join(folder, name))
  for (const name of ["big.iso", "report.pdf", "photos/one.jpg"])
    writeFileSync(path.join(folder, name), `the content of ${name}`)
  try {
    const { stdout, stderr } = spawnSync(process.execPath, ["--import", tsx, program], {
      cwd: folder,
      encoding: "utf8",
      timeout: 100_000
    })
    expect(stderr).toBe("")
    expect(stdout.split("\n").filter((line) => names.includes(line))).toEqual(names)
  } finally {
    rmSync(folder, { recursive: true })
    rmSync(program)
  }
})

const tsx = path.join(root, "node_modules/tsx/dist/loader.mjs")
