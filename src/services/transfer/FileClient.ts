// The client's side of files: push what lies here, pull what lies there. transfer/TRANSFER.md.
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Channel } from "../../channel/Channel.ts"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import { spanned } from "../Tracing.ts"
import { SafeDirectories } from "./SafeDirectory.ts"
import { Frames, frame, FrameType } from "./Frame.ts"
import type { SourceEntry } from "./FileWalker.ts"
import { peerTag } from "./PartialFile.ts"
import type { TransferProgress } from "./TransferProgress.ts"
import { receive } from "./Receiver.ts"
import { send } from "./Sender.ts"
import { folderFailed, TransferStopped, type DiskFailed } from "./TransferErrors.ts"
import * as Messages from "./Messages.ts"

interface Common {
  readonly dry: boolean
  readonly progress: TransferProgress
  /** Called with the bytes that travel, before they do: waits where they are to be slower. */
  readonly pace: (bytes: number) => Effect.Effect<void>
}

/** What is pushed, and how. */
export interface PushOptions extends Common {
  /** In the order of a manifest. */
  readonly sources: ReadonlyArray<SourceEntry>
  readonly policy: Messages.Policy
}

/** What is pulled, and how. */
export interface PullOptions extends Common {
  /** Paths below the server's folder; "" is all of it. */
  readonly names: ReadonlyArray<string>
  /** The folder here that gets them. */
  readonly into: string
  readonly policy: Messages.Policy
  readonly links: Messages.LinkPolicy
}

/** Every reason for which a transfer ends before all is there. */
export type TransferError = ChannelError | TransferStopped

/** Over a channel that was opened for `file`: done when the server has all of it on its disk. */
export const push = (
  channel: Channel,
  { sources, policy, ...common }: PushOptions
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

/** Over a channel that was opened for `file`: done when all of it is on this side's disk. */
export const pull = (
  channel: Channel,
  { names, into, links, ...common }: PullOptions
): Effect.Effect<void, TransferError | DiskFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const frames = new Frames(channel)
    const folders = yield* Effect.acquireRelease(
      Effect.try({ try: () => new SafeDirectories(into), catch: folderFailed(into) }),
      (opened) => Effect.sync(() => opened.close())
    )
    yield* channel.write(
      frame(FrameType.Pull, Messages.encodePull({ links, dry: common.dry, names }))
    )
    yield* receive({
      ...common,
      channel,
      frames,
      folders,
      requested: { names, links },
      tag: peerTag(channel.publicKey ?? "shared")
    })
    yield* channel.end
  }).pipe(
    spanned("sealwire.pull", () => ({
      kind: "client",
      attributes: { "sealwire.peer": channel.peer, "sealwire.names": names.length }
    }))
  )
