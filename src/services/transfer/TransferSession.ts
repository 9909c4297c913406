// Sessions of a client: one push or one pull over one channel. TRANSFER.md.
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Channel } from "../../channel/Channel.ts"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import { spanned } from "../Tracing.ts"
import { frame, Frames, FrameType } from "./Frame.ts"
import * as Messages from "./Messages.ts"
import { peerTag } from "./PartialFile.ts"
import { receive } from "./Receiver.ts"
import { SafeDirectories } from "./SafeDirectory.ts"
import type { SafePath } from "./SafePath.ts"
import { send } from "./Sender.ts"
import type { SourceEntry } from "./SourceFile.ts"
import { folderFailed, type DiskFailed, type TransferStopped } from "./TransferErrors.ts"
import type { TransferProgress } from "./TransferProgress.ts"

/** Options of a session. */
export interface CommonOptions {
  /** Determines what would be transferred; nothing is changed. */
  readonly dry: boolean
  readonly progress: TransferProgress
  /** Called with the number of bytes that travel; delays to limit the rate. */
  readonly pace: (bytes: number) => Effect.Effect<void>
}

/** Options of a push over a channel. */
export interface PushOverOptions extends CommonOptions {
  /** The entries to send, as FileWalker sorts them. */
  readonly sources: ReadonlyArray<SourceEntry>
  readonly policy: Messages.Policy
}

/** Options of a pull over a channel. */
export interface PullOverOptions extends CommonOptions {
  /** Paths below the server's folder; `SafePath.root` is all of it. */
  readonly paths: ReadonlyArray<SafePath>
  /** The local folder that receives the files; it must exist. */
  readonly into: string
  readonly policy: Messages.Policy
  readonly links: Messages.LinkPolicy
}

/** Errors that end a transfer early. */
export type TransferError = ChannelError | TransferStopped

/** Sends files over a channel opened for `file`; completes when all are durable on the server. */
export const pushOver = (
  channel: Channel,
  { sources, policy, ...common }: PushOverOptions
): Effect.Effect<void, TransferError> =>
  Effect.gen(function* () {
    const frames = new Frames(channel)
    yield* channel.write(frame(FrameType.Push, Messages.encodePush({ policy, dry: common.dry })))
    yield* send({ ...common, channel, frames, sources, leftOut: [] })
    yield* channel.end
  }).pipe(
    spanned("sealwire.push", () => ({
      kind: "client",
      attributes: { "sealwire.peer": channel.peer, "sealwire.items": sources.length }
    }))
  )

/** Receives files over a channel opened for `file`; completes when all are durable here. */
export const pullOver = (
  channel: Channel,
  { paths, into, links, ...common }: PullOverOptions
): Effect.Effect<void, TransferError | DiskFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const frames = new Frames(channel)
    const directories = yield* Effect.acquireRelease(
      Effect.try({ try: () => new SafeDirectories(into), catch: folderFailed(into) }),
      (opened) => Effect.sync(() => opened.close())
    )
    yield* channel.write(
      frame(FrameType.Pull, Messages.encodePull({ links, dry: common.dry, paths }))
    )
    yield* receive({
      ...common,
      channel,
      frames,
      directories,
      requested: { paths, links },
      tag: peerTag(channel.publicKey ?? "shared")
    })
    yield* channel.end
  }).pipe(
    spanned("sealwire.pull", () => ({
      kind: "client",
      attributes: { "sealwire.peer": channel.peer, "sealwire.names": paths.length }
    }))
  )
