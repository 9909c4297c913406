// A client's channel whose first item may be the server's key announcement: the program receives
// what follows it, and only after the keys have been handled.
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import {
  Control,
  type Channel,
  type ChannelFlow,
  type ChannelItem,
  type ChannelListener
} from "../channel/Channel.ts"
import { ChannelTampered } from "../channel/ChannelErrors.ts"
import type { ServerKey } from "../peers/KnownPeers.ts"
import * as KeyAnnouncement from "./KeyAnnouncement.ts"

/**
 * Receives the keys that a server announces, the current one first, and the one of the handshake.
 * The server has proven in this channel that it holds all of them.
 */
export type OnServerKeys = (
  keys: ReadonlyArray<ServerKey>,
  shown: Uint8Array
) => Effect.Effect<void>

/** Returns the channel without the announcement, whose keys `onServerKeys` receives. */
export const announcedChannel = (
  channel: Channel,
  onServerKeys: OnServerKeys
): Effect.Effect<Channel, never, Scope.Scope> =>
  Effect.gen(function* () {
    const runtime = yield* Effect.runtime<never>()
    const scope = yield* Effect.scope
    let isFirst = true
    /** Returns the effect that handles the first item, if it is the announcement. */
    const takeFirst = (item: ChannelItem | undefined) => {
      isFirst = false
      if (item instanceof Control && KeyAnnouncement.isAnnouncement(item.body))
        return receiveKeys(channel, item, onServerKeys)
      channel.possession.forget()
      return undefined
    }
    const readFirst: Channel["read"] = Effect.flatMap(channel.read, (item) => {
      const receiving = takeFirst(item)
      return receiving === undefined
        ? Effect.succeed(item)
        : Effect.zipRight(receiving, channel.read)
    })
    const run = (receiving: Receiving, done: (exit: Exit.Exit<void, ChannelTampered>) => void) =>
      Runtime.runFork(runtime)(Effect.exit(receiving), { scope }).addObserver((exit) =>
        done(Exit.flatten(exit))
      )
    return {
      ...channel,
      read: Effect.suspend(() => (isFirst ? readFirst : channel.read)),
      flow: announcedFlow(channel.flow, () => isFirst, takeFirst, run)
    }
  })

type Receiving = Effect.Effect<void, ChannelTampered>

/** The flow without the announcement: it is held while `run` handles the keys. */
const announcedFlow = (
  flow: ChannelFlow,
  isFirst: () => boolean,
  takeFirst: (item: ChannelItem | undefined) => Receiving | undefined,
  run: (receiving: Receiving, done: (exit: Exit.Exit<void, ChannelTampered>) => void) => void
): ChannelFlow => {
  let isPaused = false
  let isHeld = false
  const start = (listener: ChannelListener): void => {
    let isOver = false
    /** The events that came while the flow was held. */
    const held: Array<() => void> = []
    const deliver = (event: () => void) => {
      if (isHeld) held.push(event)
      else if (!isOver) event()
    }
    const closed: ChannelListener["closed"] = (error) => {
      isOver = true
      listener.closed(error)
    }
    const hold = (receiving: Receiving) => {
      isHeld = true
      flow.pause()
      run(receiving, (exit) => {
        isHeld = false
        if (Exit.isFailure(exit)) {
          const error = Cause.failureOption(exit.cause)
          // A defect or an interruption ends the session, whose scope closes the channel.
          if (error._tag === "Some") closed(error.value)
          return
        }
        if (!isPaused) flow.resume()
        for (const event of held.splice(0)) deliver(event)
      })
    }
    flow.start({
      item: (item) => {
        const receiving = isFirst() ? takeFirst(item) : undefined
        if (receiving === undefined) deliver(() => listener.item(item))
        else hold(receiving)
      },
      drained: listener.drained,
      end: () => deliver(listener.end),
      closed: (error) => deliver(() => closed(error))
    })
  }
  return {
    start,
    stop: () => flow.stop(),
    write: (bytes, released) => flow.write(bytes, released),
    writeNow: (bytes) => flow.writeNow(bytes),
    release: (bytes) => flow.release(bytes),
    writeError: () => flow.writeError(),
    sendControl: (body) => flow.sendControl(body),
    end: () => flow.end(),
    pause: () => {
      isPaused = true
      flow.pause()
    },
    resume: () => {
      isPaused = false
      if (!isHeld) flow.resume()
    }
  }
}

/** Accepts an announcement whose keys are all proven. */
const receiveKeys = (channel: Channel, { body }: Control, onServerKeys: OnServerKeys): Receiving =>
  Effect.suspend(() => {
    const { peer, publicKey: shown, possession } = channel
    const invalid = new ChannelTampered({ peer, detail: "invalid key announcement" })
    if (shown === undefined) return invalid
    if (KeyAnnouncement.isUnproven(body))
      return Effect.logWarning(
        `${peer} announced its keys without proof, as earlier versions do; ignored. Update Sealwire on the server`
      )
    const keys = KeyAnnouncement.decode(body, { shown, possession })
    return keys === undefined ? invalid : onServerKeys(keys, shown)
  }).pipe(Effect.ensuring(Effect.sync(channel.possession.forget)))
