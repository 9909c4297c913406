// The streams and sinks of the library keep the laws of a pipeline of bytes, and so do the files of
// @effect/platform behind them.
import { mkdirSync, readFileSync } from "node:fs"
import path from "node:path"
import * as vitest from "@effect/vitest"
import { describe, expect, it } from "@effect/vitest"
import { FileSystem } from "@effect/platform/FileSystem"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Secret } from "../../src/bytes/Secret.ts"
import * as Channel from "../../src/channel/Channel.ts"
import { suites, type Suite } from "../../src/channel/Suite.ts"
import { chunkBytes } from "../../src/files/Cobblestone.ts"
import * as EncryptedFile from "../../src/files/EncryptedFile.ts"
import { Recipients } from "../../src/files/Recipients.ts"
import { byteStreamLaws, type ByteStreamSubject } from "../../src/testing/byteStreamLaws.ts"
import { connectPair } from "../../src/testing/steps.ts"
import { Connection } from "../../src/transports/Connection.ts"
import { Transport } from "../../src/transports/index.ts"
import { openChannel, anyPort } from "../channel/rig.ts"
import { fileKey } from "../files/inMemory.ts"
import { sharedFolder } from "../fixtures/folder.ts"
import { failingLaws } from "./failingLaws.ts"

const KiB = 1024
const key = Secret.random(32)
const to = Recipients.FileKey({ key })

interface Pair {
  readonly sending: Effect.Effect<void, unknown>
  readonly received: Stream.Stream<Uint8Array, unknown>
  /** Ends both sides at once. */
  readonly reset: Effect.Effect<void>
}

/** Emits what the far side receives while the near side sends the stream. */
const sent = <E>(
  open: Effect.Effect<Pair, E, Scope.Scope>
): Stream.Stream<Uint8Array, unknown, Scope.Scope> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const { sending, received, reset } = yield* open
      // A reader that waits for ever would make each side wait for its deadline.
      yield* Effect.addFinalizer(() => reset)
      yield* Effect.forkScoped(Effect.tapErrorCause(sending, () => reset))
      return received
    })
  )

const overConnection =
  (layer: typeof Transport.layerNet): ByteStreamSubject["through"] =>
  (bytes) =>
    sent(
      Effect.map(connectPair(anyPort), ([near, far]) => ({
        sending: Stream.run(bytes, Connection.toSink(near.connection)),
        received: Connection.toStream(far.connection),
        reset: near.connection.abort
      })).pipe(Effect.provide(layer))
    )

const overChannel: ByteStreamSubject["through"] = (bytes) =>
  sent(
    Effect.map(openChannel(suites[0] as Suite), ([near, far]) => ({
      sending: Stream.run(bytes, Channel.toSink(near.channel)),
      received: Channel.toStream(far.channel),
      reset: near.channel.reset
    })).pipe(Effect.provide(Transport.layerMemory()))
  )

const subjects: Readonly<Record<string, ByteStreamSubject>> = {
  "an encrypted file": {
    through: (bytes) =>
      bytes.pipe(
        EncryptedFile.encryptStream(to),
        EncryptedFile.decryptStream(fileKey(key)),
        Effect.map(({ content }) => content),
        Stream.unwrap
      ),
    maxReadAheadBytes: 64 * KiB
  },
  "a connection of Memory": {
    through: overConnection(Transport.layerMemory()),
    maxReadAheadBytes: 512 * KiB
  },
  "a connection of Net": {
    through: overConnection(Transport.layerNet),
    maxReadAheadBytes: 16 * KiB * KiB
  },
  "a channel": { through: overChannel, maxReadAheadBytes: 1024 * KiB }
}

for (const [name, subject] of Object.entries(subjects))
  describe(name, () => byteStreamLaws(vitest, subject))

describe("the laws", () => {
  const laws = (through: ByteStreamSubject["through"]) =>
    failingLaws((runner) => byteStreamLaws(runner, { through, maxReadAheadBytes: 64 * KiB }))

  it("hold for a correct implementation", async () =>
    expect(await laws(Stream.filter(({ length }) => length > 0))).toEqual([]))
  it("detect an empty element", async () =>
    expect(await laws((bytes) => bytes)).toEqual(["emits no empty element"]))
  it("detect a failure that looks like an end", async () =>
    expect(
      await laws((bytes) =>
        Stream.catchAll(
          Stream.filter(bytes, ({ length }) => length > 0),
          () => Stream.empty
        )
      )
    ).toEqual(["does not end normally when its source fails"]))
  it("detect a stream without back-pressure", async () =>
    expect(
      await laws((bytes) =>
        Stream.buffer(
          Stream.filter(bytes, ({ length }) => length > 0),
          { capacity: 4096 }
        )
      )
    ).toEqual(["takes a limited number of bytes from its source while its reader waits"]))
})

describe("FileSystem.sink of @effect/platform", () => {
  const folder = sharedFolder()
  it.effect.each([0, 1, chunkBytes, 2 * chunkBytes, 300_000])(
    "takes a file of %i bytes",
    (length) =>
      Effect.gen(function* () {
        const at = (name: string) => path.join(folder, String(length), name)
        mkdirSync(path.join(folder, String(length)))
        const files = yield* FileSystem
        const plain = Buffer.alloc(length, "text, ")
        const empty = new Uint8Array(0)
        const source = Stream.make(empty, plain, empty)
        yield* Stream.run(EncryptedFile.encryptStream(source, to), files.sink(at("sealed")))
        const { content } = yield* EncryptedFile.decryptStream(
          files.stream(at("sealed")),
          fileKey(key),
          "sealed"
        )
        yield* Stream.run(content, files.sink(at("plain")))
        expect(plain.equals(readFileSync(at("plain")))).toBe(true)
      }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )
})
