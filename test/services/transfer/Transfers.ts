// Helpers for the tests of file transfers: trees of files, a server with a folder, and pushes and
// pulls whose channel can be cut.
import { createHash } from "node:crypto"
import {
  chmodSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import path from "node:path"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import * as Channel from "../../../src/channel/Channel.ts"
import { StreamTruncated, type ChannelError } from "../../../src/channel/ChannelErrors.ts"
import { PeerList } from "../../../src/peers/PeerList.ts"
import { rulesOf, type RuleValues } from "../../peers/rulesOf.ts"
import { dial } from "../../../src/services/Dial.ts"
import { PeerSessions } from "../../../src/services/PeerSessions.ts"
import * as Server from "../../../src/services/Server.ts"
import * as FileClient from "../../../src/services/transfer/FileClient.ts"
import * as FileService from "../../../src/services/transfer/FileService.ts"
import { FileWalker } from "../../../src/services/transfer/FileWalker.ts"
import type { LinkPolicy, Policy } from "../../../src/services/transfer/Messages.ts"
import * as Names from "../../../src/services/transfer/Names.ts"
import { SafeDirectories } from "../../../src/services/transfer/SafeDirectory.ts"
import { SafePath } from "../../../src/services/transfer/SafePath.ts"
import type { TransferProgress } from "../../../src/services/transfer/TransferProgress.ts"
import type { Address } from "../../../src/transports/Address.ts"
import type { Transport } from "../../../src/transports/Transport.ts"
import { dialKeys, serverKeys, suiteOf } from "../../channel/rig.ts"
import { startServer } from "../startServer.ts"

/** The content of a folder: a file (its bytes), a folder, or a link (its target). */
export type Tree = { readonly [name: string]: Uint8Array | string | Tree }

/** Writes a tree into a folder, with different modes and times. */
export const writeTree = (at: string, tree: Tree): void => {
  mkdirSync(at, { recursive: true })
  for (const [index, [name, node]] of Object.entries(tree).entries()) {
    const file = path.join(at, name)
    if (typeof node === "string") symlinkSync(node, file)
    else if (node instanceof Uint8Array)
      writeFileSync(file, node, { mode: [0o600, 0o644, 0o755, 0o444][index % 4] as number })
    else writeTree(file, node)
    lutimesSync(file, 1e9 + index, 1e9 + index * 1.5 + 0.123456)
  }
  chmodSync(at, 0o750)
}

/** Lists everything below a folder, one line each, with every attribute that is transferred. */
export const snapshot = (
  at: string,
  { links = true, partials = false } = {}
): ReadonlyArray<string> => {
  const lines: Array<string> = []
  const visit = (inside: string) => {
    for (const bytes of readdirSync(path.join(at, inside), { encoding: "buffer" })) {
      const relative = path.join(inside, bytes.toString())
      const file = path.join(at, relative)
      const stats = lstatSync(file, { bigint: true })
      const common = `${bytes.toString("hex")} ${relative} ${stats.mtimeNs / 1000n}`
      const mode = stats.mode & 0o777n
      if (stats.isSymbolicLink()) {
        if (links) lines.push(`link ${relative} ${readlinkSync(file)}`)
      } else if (stats.isDirectory()) {
        lines.push(`folder ${common} ${mode}`)
        visit(relative)
      } else if (partials || !relative.endsWith(".part")) {
        const digest = createHash("sha256").update(readFileSync(file)).digest("hex")
        lines.push(`file ${common} ${mode} ${digest}`)
      }
    }
  }
  visit("")
  return lines.sort()
}

/** Lists the partial files below a folder, without their locks. */
export const partialFilesIn = (at: string): ReadonlyArray<string> =>
  readdirSync(at, { recursive: true, encoding: "utf8" }).filter(
    (name) => name.endsWith(".part") && !Names.isLock(path.basename(name))
  )

export interface FileServer {
  readonly address: Address
  readonly events: ReadonlyArray<Server.ServerEvent>
  /** Paths of stored files. */
  readonly stored: ReadonlyArray<string>
  /** Puts a list in force that has the client with other rules. */
  readonly replaceRules: (rules: RuleValues) => void
}

/** Starts a server with the file service; with `rules` it knows one client by its key. */
export const serveFiles = (
  top: string,
  rules?: RuleValues,
  options: Partial<Server.ServeOptions> = {}
): Effect.Effect<FileServer, unknown, Transport | Scope.Scope> =>
  Effect.gen(function* () {
    const stored: Array<string> = []
    const publicKey = dialKeys(suiteOf("IK")).identity?.publicKey ?? Buffer.alloc(0)
    const listOf = (values: RuleValues) =>
      new PeerList([{ publicKey, name: "alice", rules: rulesOf(values), line: 1 }])
    const peers = rules === undefined ? undefined : yield* PeerSessions.make(listOf(rules))
    const { address, events } = yield* startServer({
      keys: { ...serverKeys, ...(peers === undefined ? {} : { authorize: peers.authorize }) },
      ...(peers === undefined ? {} : { peers }),
      ...options,
      services: [
        FileService.service({
          folder: top,
          onStored: ({ files }) =>
            Effect.sync(() => void stored.push(...files.map((file) => file.path))),
          onDiskFailed: () => Effect.void
        })
      ]
    })
    return {
      address,
      events,
      stored,
      replaceRules: (values) => void peers?.replace(listOf(values))
    }
  })

/** Records what a transfer reports. */
export class TransferRecord {
  /** The last report about each path. */
  readonly byPath = new Map<string, string>()
  readonly leftOut: Array<string> = []
  transferredBytes = 0
  reusedBytes = 0
  #paths: ReadonlyArray<string> = []

  readonly progress: TransferProgress = {
    planned: (entries) =>
      Effect.sync(() => void (this.#paths = entries.map((entry) => entry.path.text))),
    leftOut: ({ reason, path: omitted }) =>
      Effect.sync(() => void this.leftOut.push(`${reason} ${omitted}`)),
    answered: (index, answer) => this.#note(index, answer),
    transferred: (bytes) => void (this.transferredBytes += bytes),
    reused: (bytes) => void (this.reusedBytes += bytes),
    skipped: (index, reason) => this.#note(index, reason),
    confirmed: (receipts) =>
      Effect.forEach(
        receipts,
        ({ index, outcome, path: as }) =>
          outcome === "left"
            ? Effect.void
            : this.#note(index, outcome === "same as" ? "same" : (as?.text ?? outcome)),
        { discard: true }
      ),
    diskFailed: () => Effect.void
  }

  #note(index: number, report: string): Effect.Effect<void> {
    return Effect.sync(() => void this.byPath.set(this.#paths[index] ?? `#${index}`, report))
  }

  get outcomes(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.byPath)
  }
}

/** A channel whose connection is lost after this many reads and writes. */
export const cutAfter = (channel: Channel.Channel, steps: number): Channel.Channel => {
  let left = steps
  const lost = Deferred.unsafeMake<never, ChannelError>(FiberId.none)
  const step = <A>(effect: Effect.Effect<A, ChannelError>) =>
    Effect.suspend(() => {
      if (left-- <= 0)
        Deferred.unsafeDone(lost, new StreamTruncated({ peer: channel.peer, code: "cut" }))
      return Effect.raceFirst(Deferred.await(lost), effect)
    })
  return {
    ...channel,
    read: step(channel.read),
    write: (bytes) => step(channel.write(bytes)),
    end: step(channel.end)
  }
}

export interface TransferOptions {
  readonly policy?: Policy
  readonly links?: LinkPolicy
  readonly dry?: boolean
  readonly record?: TransferRecord
  readonly wrap?: (channel: Channel.Channel) => Channel.Channel
  readonly suite?: string
}

/** Opens a channel for the file service. */
export const openChannel = (address: Address, suite = "IK") =>
  dial({ address, keys: dialKeys(suiteOf(suite as "IK")) }, "file")

/** Pushes the files and folders at these paths. */
export const pushPaths = (
  address: Address,
  paths: ReadonlyArray<string>,
  {
    policy = "refuse",
    links = "skip",
    dry = false,
    record = new TransferRecord(),
    wrap = (channel) => channel,
    suite = "IK"
  }: TransferOptions = {}
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const walker = new FileWalker(links)
      for (const file of paths) {
        const directories = yield* Effect.acquireRelease(
          Effect.sync(() => new SafeDirectories(path.dirname(file))),
          (opened) => Effect.sync(() => opened.close())
        )
        const name = SafePath.root.localChild(path.basename(file))
        yield* walker.add(directories, name, name)
      }
      record.leftOut.push(...walker.leftOut.map((each) => `${each.reason} ${each.path}`))
      const sources = walker.sorted() ?? []
      const channel = wrap(yield* openChannel(address, suite))
      yield* record.progress.planned(sources.map(({ entry }) => entry))
      yield* FileClient.pushOver(channel, {
        sources,
        policy,
        dry,
        progress: record.progress,
        pace: () => Effect.void
      })
      return record
    })
  )

/** Pulls these paths into a folder; "" is everything. */
export const pullPaths = (
  address: Address,
  paths: ReadonlyArray<string>,
  into: string,
  {
    policy = "refuse",
    links = "skip",
    dry = false,
    record = new TransferRecord(),
    wrap = (channel) => channel,
    suite = "IK"
  }: TransferOptions = {}
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const channel = wrap(yield* openChannel(address, suite))
      yield* FileClient.pullOver(channel, {
        paths: paths.map((text) => SafePath.local(text) ?? SafePath.root),
        into,
        policy,
        links,
        dry,
        progress: record.progress,
        pace: () => Effect.void
      })
      return record
    })
  )
