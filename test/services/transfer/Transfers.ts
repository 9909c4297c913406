// What the tests of files do again and again: trees that are made and compared, a server with a folder, pushes and pulls that may be cut.
import { createHash } from "node:crypto"
import {
  chmodSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import * as Channel from "../../../src/channel/Channel.ts"
import { StreamTruncated, type ChannelError } from "../../../src/channel/ChannelErrors.ts"
import { PeerList } from "../../../src/peers/PeerList.ts"
import type { Rules } from "../../../src/peers/Rules.ts"
import { dial } from "../../../src/services/Dial.ts"
import * as FileService from "../../../src/services/transfer/FileService.ts"
import { PeerSessions } from "../../../src/services/PeerSessions.ts"
import * as Server from "../../../src/services/Server.ts"
import * as FileClient from "../../../src/services/transfer/FileClient.ts"
import { SafeDirectories } from "../../../src/services/transfer/SafeDirectory.ts"
import { FileWalker } from "../../../src/services/transfer/FileWalker.ts"
import type { TransferProgress } from "../../../src/services/transfer/TransferProgress.ts"
import type { LinkPolicy, Policy } from "../../../src/services/transfer/Messages.ts"
import type { Address } from "../../../src/transports/Address.ts"
import type { Transport } from "../../../src/transports/Transport.ts"
import { clientKeys, serverKeys, suiteOf, acceptAnyServer } from "../../channel/rig.ts"
import { withTimeout } from "../../../src/testing/steps.ts"

/** A folder of its own that is gone with the scope. */
export const folder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(path.join(tmpdir(), "sealwire-files-"))),
  (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
)

/** A file (its bytes), a folder, or a link (where to). */
export type Tree = { readonly [name: string]: Uint8Array | string | Tree }

/** Makes a tree; files get other modes and times in turn. */
export const plant = (at: string, tree: Tree): void => {
  mkdirSync(at, { recursive: true })
  for (const [index, [name, what]] of Object.entries(tree).entries()) {
    const here = path.join(at, name)
    if (typeof what === "string") symlinkSync(what, here)
    else if (what instanceof Uint8Array)
      writeFileSync(here, what, { mode: [0o600, 0o644, 0o755, 0o444][index % 4] as number })
    else plant(here, what)
    lutimesSync(here, 1e9 + index, 1e9 + index * 1.5 + 0.123456)
  }
  chmodSync(at, 0o750)
}

/** What lies below: one line for each thing, with everything that travels. */
export const seen = (at: string, { links = true, parts = false } = {}): ReadonlyArray<string> => {
  const lines: Array<string> = []
  const look = (inside: string) => {
    for (const bytes of readdirSync(path.join(at, inside), { encoding: "buffer" })) {
      const here = path.join(inside, bytes.toString())
      const stats = lstatSync(path.join(at, here), { bigint: true })
      const common = `${bytes.toString("hex")} ${here} ${stats.mtimeNs / 1000n}`
      if (stats.isSymbolicLink()) {
        if (links) lines.push(`link ${here} ${readlinkSync(path.join(at, here))}`)
      } else if (stats.isDirectory()) {
        lines.push(`folder ${common} ${stats.mode & 0o777n}`)
        look(here)
      } else if (parts || !here.endsWith(".part"))
        lines.push(
          `file ${common} ${stats.mode & 0o777n} ${createHash("sha256")
            .update(readFileSync(path.join(at, here)))
            .digest("hex")}`
        )
    }
  }
  look("")
  return lines.sort()
}

/** Unfinished files. */
export const partsIn = (at: string): ReadonlyArray<string> =>
  readdirSync(at, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".part"))

export interface Serving {
  readonly address: Address
  readonly events: ReadonlyArray<Server.ServerEvent>
  readonly stored: ReadonlyArray<string>
}

/** A server for files; with rules its client is known by its key. */
export const serving = (
  top: string,
  rules?: Partial<Rules>
): Effect.Effect<Serving, unknown, Transport | Scope.Scope> =>
  Effect.gen(function* () {
    const events: Array<Server.ServerEvent> = []
    const stored: Array<string> = []
    const listening = yield* Deferred.make<Address>()
    const publicKey = clientKeys(suiteOf("IK")).identity?.publicKey ?? Buffer.alloc(0)
    const peers =
      rules === undefined
        ? undefined
        : yield* PeerSessions.make(
            new PeerList([
              { publicKey, name: "alice", rules: { where: "list:1", ...rules }, line: 1 }
            ])
          )
    yield* Effect.forkScoped(
      Server.serve({
        address: { _tag: "Tcp", host: "127.0.0.1", port: 0 },
        keys: { ...serverKeys, ...(peers === undefined ? {} : { authorize: peers.authorize }) },
        ...(peers === undefined ? {} : { peers }),
        services: [
          FileService.service({
            folder: top,
            onStored: ({ files }) =>
              Effect.sync(() => void stored.push(...files.map((file) => file.path))),
            onDiskFailed: () => Effect.void
          })
        ],
        on: (event) =>
          Effect.suspend(() => {
            events.push(event)
            return event._tag === "Listening"
              ? Deferred.succeed(listening, event.address)
              : Effect.void
          })
      })
    )
    return {
      address: yield* withTimeout("the listener", Deferred.await(listening)),
      events,
      stored
    }
  })

/** What was told of a transfer: by path, its last word. */
export class Told {
  readonly fates = new Map<string, string>()
  readonly leftOut: Array<string> = []
  came = 0
  kept = 0
  #paths: ReadonlyArray<string> = []

  readonly progress: TransferProgress = {
    // Of a pull whose names the receiver hears first here.
    planned: (entries) =>
      Effect.sync(() => void (this.#paths = entries.map((entry) => entry.path))),
    leftOut: ({ reason, path: where }) =>
      Effect.sync(() => void this.leftOut.push(`${reason} ${where}`)),
    answered: (index, answer) => this.#note(index, answer),
    transferred: (bytes) => void (this.came += bytes),
    reused: (bytes) => void (this.kept += bytes),
    skipped: (index, why) => this.#note(index, why),
    confirmed: (receipts) =>
      Effect.forEach(
        receipts,
        ({ index, outcome, path: as }) =>
          outcome === "left"
            ? Effect.void
            : this.#note(index, outcome === "same as" ? "same" : (as ?? outcome)),
        { discard: true }
      ),
    diskFailed: () => Effect.void
  }

  #note(index: number, word: string): Effect.Effect<void> {
    return Effect.sync(() => void this.fates.set(this.#paths[index] ?? `#${index}`, word))
  }

  get words(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.fates)
  }
}

/** A channel that is lost after so many reads and writes. */
export const cutAfter = (channel: Channel.Channel, steps: number): Channel.Channel => {
  let left = steps
  const over = Deferred.unsafeMake<never, ChannelError>(FiberId.none)
  const step = <A>(effect: Effect.Effect<A, ChannelError>) =>
    Effect.suspend(() => {
      if (left-- <= 0)
        Deferred.unsafeDone(over, new StreamTruncated({ peer: channel.peer, code: "cut" }))
      return Effect.raceFirst(Deferred.await(over), effect)
    })
  return {
    ...channel,
    read: step(channel.read),
    write: (bytes) => step(channel.write(bytes)),
    end: step(channel.end)
  }
}

export interface PushTest {
  readonly policy?: Policy
  readonly links?: LinkPolicy
  readonly dry?: boolean
  readonly told?: Told
  readonly wrap?: (channel: Channel.Channel) => Channel.Channel
  readonly suite?: string
}

export const connected = (address: Address, suite = "IK") =>
  dial({ address, keys: clientKeys(suiteOf(suite as "IK")), checkServer: acceptAnyServer }, "file")

/** Pushes what is at these paths. */
export const pushed = (
  address: Address,
  paths: ReadonlyArray<string>,
  {
    policy = "refuse",
    links = "skip",
    dry = false,
    told = new Told(),
    wrap = (channel) => channel,
    suite = "IK"
  }: PushTest = {}
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const survey = new FileWalker(links)
      for (const at of paths) {
        const folders = yield* Effect.acquireRelease(
          Effect.sync(() => new SafeDirectories(path.dirname(at))),
          (opened) => Effect.sync(() => opened.close())
        )
        yield* survey.add(folders, [path.basename(at)], [path.basename(at)])
      }
      told.leftOut.push(...survey.leftOut.map(({ reason, path: where }) => `${reason} ${where}`))
      const items = survey.sorted() ?? []
      const channel = wrap(yield* connected(address, suite))
      yield* told.progress.planned(items.map(({ entry }) => entry))
      yield* FileClient.push(channel, {
        sources: items,
        policy,
        dry,
        progress: told.progress,
        pace: () => Effect.void
      })
      return told
    })
  )

/** Pulls these names into a folder. */
export const pulled = (
  address: Address,
  names: ReadonlyArray<string>,
  into: string,
  {
    policy = "refuse",
    links = "skip",
    dry = false,
    told = new Told(),
    wrap = (channel) => channel,
    suite = "IK"
  }: PushTest = {}
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const channel = wrap(yield* connected(address, suite))
      yield* FileClient.pull(channel, {
        names,
        into,
        policy,
        links,
        dry,
        progress: told.progress,
        pace: () => Effect.void
      })
      return told
    })
  )
