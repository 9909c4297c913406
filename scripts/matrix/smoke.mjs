// The library on any runtime: channels over TCP, messages with receipts, a push, an encrypted file.
// Uses what is built in dist/lib, as a program that installs the package does. Prints one line a
// part, and exits with 1 when one fails or nothing has ended within a minute.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { randomBytes } from "node:crypto"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import {
  noProgress,
  Address,
  EncryptedFile,
  FileClient,
  FileService,
  FileTampered,
  FileWalker,
  HandshakeFailed,
  Input,
  KeyPair,
  MessageClient,
  MessageService,
  Output,
  Recipients,
  SafeDirectories,
  SafePath,
  Secret,
  Server,
  Transport,
  dial,
  suiteNamed
} from "../../dist/lib/index.js"

const assert = (what, condition) => {
  if (!condition) throw new Error(`not so: ${what}`)
}
const [server, alice, mallory] = [KeyPair.generate(), KeyPair.generate(), KeyPair.generate()]
const psk = Secret.random(32)
const same = (one, other) => Buffer.compare(one, other) === 0

/** Serves messages and files on a free port; the texts that were received. */
const serving = (folder) =>
  Effect.gen(function* () {
    const received = []
    const listening = yield* Deferred.make()
    yield* Effect.forkScoped(
      Server.serve({
        address: Address.tcp("127.0.0.1", 0),
        keys: {
          serverName: "",
          suites: [suiteNamed("IK"), suiteNamed("XXpsk3")],
          psks: [{ secret: psk }],
          identities: [server],
          authorize: (key) => (same(key, alice.publicKey) ? { name: "alice" } : "unknown key")
        },
        services: [
          MessageService.service(
            (messages) =>
              Effect.sync(() => {
                for (const { text } of messages) received.push(Buffer.from(text).toString())
              }),
            { reply: ({ text }) => Effect.succeed(Buffer.from(text).reverse()) }
          ),
          FileService.service({
            folder,
            onStored: () => Effect.void,
            onDiskFailed: () => Effect.void
          })
        ],
        on: (event) =>
          event._tag === "Listening" ? Deferred.succeed(listening, event.address) : Effect.void
      })
    )
    return { address: yield* Deferred.await(listening), received }
  })

const optionsFor = (address, suite, identity = alice) => ({
  address,
  keys: {
    serverName: "",
    identity,
    ...(suite === "IK" ? { serverKey: server.publicKey } : { psk, checkServer })
  }
})
const checkServer = (key) => Effect.succeed(same(key, server.publicKey))

const messages = ({ address, received }, suite) =>
  Effect.gen(function* () {
    const client = yield* MessageClient.connect(optionsFor(address, suite))
    const texts = [`hello over ${suite}`, "", "x".repeat(200_000)]
    yield* client.send(texts.map((text) => Buffer.from(text)))
    assert(
      "the texts arrived",
      texts.every((text) => received.includes(text))
    )
    const reply = yield* client.request(Buffer.from("abc"))
    assert("the reply", Buffer.from(reply).toString() === "cba")
  }).pipe(Effect.scoped)

const refusal = ({ address }) =>
  Effect.gen(function* () {
    const refused = yield* Effect.flip(
      MessageClient.connect(optionsFor(address, "IK", mallory)).pipe(
        Effect.flatMap((client) => client.send([Buffer.from("x")]))
      )
    )
    assert("another key is refused", refused instanceof HandshakeFailed)
    assert("and the client does not try again", refused.transient !== true)
  }).pipe(Effect.scoped)

const push = ({ address }, from, to) =>
  Effect.gen(function* () {
    const tree = { "a.txt": Buffer.from("small"), "large.bin": randomBytes(3_000_000) }
    mkdirSync(path.join(from, "tree"))
    for (const [name, bytes] of Object.entries(tree))
      writeFileSync(path.join(from, "tree", name), bytes)
    const walker = new FileWalker("skip")
    const directories = new SafeDirectories(from)
    const name = SafePath.root.localChild("tree")
    yield* walker.add(directories, name, name)
    const channel = yield* dial(optionsFor(address, "IK"), "file")
    yield* FileClient.pushOver(channel, {
      sources: walker.sorted() ?? [],
      policy: "refuse",
      dry: false,
      progress: noProgress,
      pace: () => Effect.void
    })
    directories.close()
    for (const [file, bytes] of Object.entries(tree))
      assert(`${file} arrived`, same(readFileSync(path.join(to, "tree", file)), bytes))
  }).pipe(Effect.scoped)

const encryptedFile = (folder) =>
  Effect.gen(function* () {
    const at = (name) => path.join(folder, name)
    const content = randomBytes(1_000_000)
    writeFileSync(at("plain"), content)
    const options = { overwrite: false, mode: 0o600 }
    const sealed = yield* Output.toFile(at("sealed"), options)
    yield* EncryptedFile.encrypt(
      yield* Input.fromFile(at("plain")),
      sealed,
      Recipients.Recipients({ publicKeys: [alice.publicKey], sender: server })
    )
    yield* sealed.commit
    const opened = (file, to) =>
      Effect.gen(function* () {
        const input = yield* Input.fromFile(file)
        const unlocked = yield* EncryptedFile.unlock(input, { identity: Effect.succeed(alice) })
        assert("the sender", same(unlocked.origin.sender, server.publicKey))
        const output = yield* Output.toFile(to, options)
        yield* EncryptedFile.decrypt(input, output, unlocked)
        yield* output.commit
      })
    yield* opened(at("sealed"), at("opened"))
    assert("the content", same(readFileSync(at("opened")), content))
    const changed = readFileSync(at("sealed"))
    changed[changed.length - 1] ^= 1
    writeFileSync(at("changed"), changed)
    const refused = yield* Effect.flip(opened(at("changed"), at("never")))
    assert("a changed file is refused", refused instanceof FileTampered)
  }).pipe(Effect.scoped)

const folder = mkdtempSync(path.join(tmpdir(), "sealwire-smoke-"))
const [from, to, files] = ["from", "to", "files"].map((name) => path.join(folder, name))
for (const one of [from, to, files]) mkdirSync(one)

const limit = setTimeout(() => {
  console.error("the smoke did not end within a minute")
  process.exit(1)
}, 60_000)
try {
  const program = Effect.gen(function* () {
    const at = yield* serving(to)
    const parts = [
      ["messages over IK", messages(at, "IK")],
      ["messages over XXpsk3", messages(at, "XXpsk3")],
      ["refusal of another key", refusal(at)],
      ["push of a folder", push(at, from, to)],
      ["encrypted file", encryptedFile(files)]
    ]
    for (const [name, part] of parts) {
      yield* part
      console.log(`ok ${name}`)
    }
  }).pipe(Effect.scoped, Effect.provide(Transport.layerNet))
  await Effect.runPromise(program)
  process.exitCode = 0
} catch (error) {
  console.error(error)
  process.exitCode = 1
} finally {
  clearTimeout(limit)
  rmSync(folder, { recursive: true, force: true })
}
