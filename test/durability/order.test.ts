// Keys, peers files, encrypted files and transfers become durable in the right order, as recorded
// from node:fs.
import { cpSync, mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import path from "node:path"
import { describe, expect, it } from "vitest"
import * as Effect from "effect/Effect"
import { Secret } from "../../src/bytes/Secret.ts"
import type { Channel } from "../../src/channel/Channel.ts"
import * as EncryptedFile from "../../src/files/EncryptedFile.ts"
import * as Input from "../../src/files/Input.ts"
import * as Output from "../../src/files/Output.ts"
import { Recipients } from "../../src/files/Recipients.ts"
import { generate } from "../../src/keys/KeyPair.ts"
import { FileKeys, replace } from "../../src/keys/providers/FileKeys.ts"
import * as Rotation from "../../src/keys/Rotation.ts"
import * as KnownPeers from "../../src/peers/KnownPeers.ts"
import { FrameType } from "../../src/services/transfer/Frame.ts"
import { decodeReceipts } from "../../src/services/transfer/Messages.ts"
import { Transport } from "../../src/transports/index.ts"
import { pullPaths, serveFiles, TransferRecord } from "../services/transfer/Transfers.ts"
import { recorded } from "./DiskRecorder.ts"
import { checkOrder } from "./order.ts"
import { sharedFolder } from "../fixtures/folder.ts"

const folder = sharedFolder()
const at = (...names: ReadonlyArray<string>) => path.join(folder, ...names)

/** Runs an effect, after which these files are durable. */
const expectDurable = async <E>(
  effect: Effect.Effect<unknown, E>,
  files: ReadonlyArray<string>
): Promise<void> => {
  const events = await recorded(async (recorder) => {
    await Effect.runPromise(effect)
    for (const file of files) recorder.confirm(file)
  })
  expect(checkOrder(events)).toEqual({ violations: [], confirmed: files })
}

describe("a key", () => {
  const key = () => new Secret(Buffer.alloc(32, 1))

  it("that is new", () => {
    const { write } = FileKeys.location(at("new.key"))
    if (typeof write === "string") throw new Error(write)
    return expectDurable(write(key().expose()), [at("new.key")])
  })

  it("that replaces one", () => {
    writeFileSync(at("old.key"), "old", { mode: 0o600 })
    return expectDurable(replace(at("old.key"), key().expose()), [at("old.key")])
  })

  it("that is rotated, and its retiring name", () => {
    for (const file of [at("rotated.key"), Rotation.nextOf(at("rotated.key"))])
      writeFileSync(file, "key", { mode: 0o600 })
    return expectDurable(Rotation.switchOver(at("rotated.key")), [
      at("rotated.key"),
      Rotation.retiringOf(at("rotated.key"))
    ])
  })
})

it("a peers file, new and changed", () => {
  const pin = (address: string) => KnownPeers.pin(at("known_peers"), address, generate().publicKey)
  return expectDurable(Effect.zipRight(pin("one:1"), pin("two:2")), [at("known_peers")])
})

describe("an encrypted file", () => {
  const to = Recipients.FileKey({ key: Secret.random(32) })

  it.each([false, true])("of 100 kB (it may overwrite: %s)", (overwrite) => {
    writeFileSync(at("plain"), Buffer.alloc(100_000, 1))
    const sealed = at(`sealed-${overwrite}`)
    if (overwrite) writeFileSync(sealed, "old")
    return expectDurable(
      Effect.gen(function* () {
        const output = yield* Output.toFile(sealed, { overwrite, mode: 0o600 })
        yield* EncryptedFile.encrypt(yield* Input.fromFile(at("plain")), output, to)
        yield* output.commit
      }).pipe(Effect.scoped),
      [sealed]
    )
  })
})

/** A served folder with files of every size class, a folder and a link. */
const tree = (name: string, files: number): string => {
  const top = at(name)
  mkdirSync(path.join(top, "sub"), { recursive: true })
  for (let index = 0; index < files; index++)
    writeFileSync(path.join(top, "sub", `${index}`), `${name} ${index}`)
  writeFileSync(path.join(top, "empty"), "")
  writeFileSync(path.join(top, "medium"), Buffer.alloc(100_000, 7))
  writeFileSync(path.join(top, "large"), Buffer.alloc(3 * 1024 * 1024, 8))
  symlinkSync("medium", path.join(top, "link"))
  return top
}

/** Pulls a tree; its receipts are recorded before they are sent. */
const pullRecorded = async (
  top: string,
  into: string,
  policy: "refuse" | "overwrite" | "rename",
  confirming: ReadonlyArray<string> = ["stored", "renamed"]
) => {
  mkdirSync(into, { recursive: true })
  let paths: ReadonlyArray<string> = []
  const events = await recorded((recorder) => {
    const record = new TransferRecord()
    const { planned } = record.progress
    Object.assign(record.progress, {
      planned: (entries: Parameters<typeof planned>[0]) => {
        paths = entries.map((entry) => entry.path.text)
        return planned(entries)
      }
    })
    const wrap = (channel: Channel): Channel => ({
      ...channel,
      write: (bytes) => {
        const frame = Buffer.from(bytes)
        if (frame[0] === FrameType.Receipts)
          for (const { index, outcome, path: as } of decodeReceipts(frame.subarray(5)) ?? [])
            if (confirming.includes(outcome))
              recorder.confirm(path.join(into, as?.text ?? paths[index] ?? ""))
        return channel.write(bytes)
      }
    })
    return Effect.gen(function* () {
      const { address } = yield* serveFiles(top)
      yield* pullPaths(address, [""], into, { policy, links: "keep", record, wrap })
    }).pipe(Effect.scoped, Effect.provide(Transport.layerNet), Effect.runPromise)
  })
  const { violations, confirmed } = checkOrder(events)
  return {
    events,
    violations,
    confirmed: confirmed.map((file) => path.relative(into, file)).toSorted()
  }
}

describe("the files of a transfer", () => {
  const named = ["empty", "large", "link", "medium", "sub"]

  it.each([3, 40])("of %i small files and others", async (files) => {
    const small = Array.from({ length: files }, (_, index) => path.join("sub", `${index}`))
    expect(
      await pullRecorded(tree(`from${files}`, files), at(`to${files}`), "refuse")
    ).toMatchObject({
      violations: [],
      confirmed: [...named, ...small].toSorted()
    })
  })

  it.each(["overwrite", "rename"] as const)("whose names are taken (%s)", async (policy) => {
    const into = at(`taken-${policy}`)
    mkdirSync(into)
    writeFileSync(path.join(into, "medium"), "other")
    const medium = policy === "rename" ? "medium (1)" : "medium"
    expect(await pullRecorded(tree(`top-${policy}`, 0), into, policy)).toMatchObject({
      violations: [],
      confirmed: named.map((name) => (name === "medium" ? medium : name)).toSorted()
    })
  })
})

it("the folders and links of a transfer without files", async () => {
  const top = at("no-files")
  mkdirSync(path.join(top, "outer", "inner"), { recursive: true })
  symlinkSync("inner", path.join(top, "outer", "link"))
  expect(await pullRecorded(top, at("no-files-here"), "refuse")).toMatchObject({
    violations: [],
    confirmed: ["outer", path.join("outer", "inner"), path.join("outer", "link")]
  })
})

it("a file of a transfer in new folders that have nothing else", async () => {
  const top = at("deep")
  mkdirSync(path.join(top, "one", "two", "three"), { recursive: true })
  writeFileSync(path.join(top, "one", "two", "three", "file"), "text")
  const folders = ["one", path.join("one", "two"), path.join("one", "two", "three")]
  expect(await pullRecorded(top, at("deep-here"), "refuse")).toMatchObject({
    violations: [],
    confirmed: [...folders, path.join("one", "two", "three", "file")]
  })
})

it.each(["refuse", "overwrite", "rename"] as const)(
  "the files of a transfer that are there are flushed, and their folders, before that is confirmed (%s)",
  async (policy) => {
    const top = tree(`same-${policy}`, 5)
    const into = at(`same-here-${policy}`)
    cpSync(top, into, { recursive: true, verbatimSymlinks: true })
    const { events, confirmed } = await pullRecorded(top, into, policy, ["same"])
    const files = ["empty", "large", "medium", ...[0, 1, 2, 3, 4].map((index) => `sub/${index}`)]
    expect(confirmed).toEqual(files.toSorted())
    const flushedBefore = (end: number) =>
      new Set(
        events.slice(0, end).flatMap((event) => (event.kind === "flush ended" ? [event.file] : []))
      )
    for (const [index, event] of events.entries()) {
      if (event.kind !== "confirmed") continue
      for (const file of [event.path, path.dirname(event.path)]) {
        const { dev, ino } = statSync(file)
        expect([file, flushedBefore(index).has(`${dev}:${ino}`)]).toEqual([file, true])
      }
    }
  }
)

describe("the check of the order", () => {
  const write = { kind: "write", file: "f" } as const
  const flush = (file: string, id: number) =>
    [
      { kind: "flush begins", file, id },
      { kind: "flush ended", file, id }
    ] as const
  const naming = { kind: "naming", file: "f", path: "/d/f" } as const
  const named = { kind: "named", folder: "d", path: "/d/f" } as const
  const confirmed = { kind: "confirmed", path: "/d/f" } as const
  const [begins, ends] = flush("f", 9)

  it.each([
    ["nothing is wrong", [write, ...flush("f", 1), naming, named, ...flush("d", 2), confirmed], []],
    [
      "no flush of the content",
      [write, naming, named, ...flush("d", 2), confirmed],
      ["/d/f was named before its content was flushed"]
    ],
    [
      "a write after the flush",
      [write, ...flush("f", 1), write, naming, named, ...flush("d", 2), confirmed],
      ["/d/f was named before its content was flushed"]
    ],
    [
      "a write during the flush",
      [write, begins, write, ends, naming, named, ...flush("d", 2), confirmed],
      ["/d/f was named before its content was flushed"]
    ],
    [
      "a flush that has not ended",
      [write, begins, naming, named, ends, ...flush("d", 2), confirmed],
      ["/d/f was named before its content was flushed"]
    ],
    [
      "no flush of the folder",
      [write, ...flush("f", 1), naming, named, confirmed],
      ["/d/f was confirmed before its folder was flushed"]
    ],
    [
      "a flush of the folder before the name",
      [write, ...flush("f", 1), ...flush("d", 2), naming, named, confirmed],
      ["/d/f was confirmed before its folder was flushed"]
    ],
    [
      "a confirmation first",
      [write, ...flush("f", 1), confirmed, naming, named, ...flush("d", 2)],
      ["/d/f was confirmed before it was named"]
    ],
    [
      "no flush of the name of its folder",
      [
        { kind: "named", folder: "r", path: "/d" } as const,
        write,
        ...flush("f", 1),
        naming,
        named,
        ...flush("d", 2),
        confirmed
      ],
      ["/d/f was confirmed before the name of /d was flushed"]
    ]
  ])("%s", (_, events, violations) => expect(checkOrder(events).violations).toEqual(violations))
})
