// @effect/platform's Socket over the channel: what speaks over a Socket speaks to a peer whose key is known.
import * as Socket from "@effect/platform/Socket"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { Control, type Channel } from "../channel/Channel.ts"
import { ChannelTampered, type ChannelError } from "../channel/ChannelErrors.ts"
import { dial, type DialOptions } from "../services/Dial.ts"
import { Transport } from "../transports/Transport.ts"
import { application } from "./application.ts"
import { limits } from "./limits.ts"

/** Where the server is, by which keys, and what is spoken. */
export interface Options extends Omit<DialOptions<never, never>, "checkServer"> {
  /** The application protocol of the prologue, the same on both sides. Default: "sealwire/socket/1". */
  readonly application?: string
  /** For the suites that do not know the server's key beforehand (XX, XXpsk3): sees it before this side shows its own. */
  readonly checkServer?: DialOptions<Socket.SocketError, never>["checkServer"]
}

export { application }

/**
 * A socket that connects anew for each `run`.
 *
 * - Its handler is called synchronously and in order; while an Effect that it gives back still runs nothing more is read.
 * - `onOpen` runs when the server has proven its key and let this side in.
 * - `run` succeeds when the peer has said that all is said. It fails with reason "Open" when there was no connection or no handshake, "Close"
 *   for a `CloseEvent` of this side, and "Read" for all else: a stream that was cut is never a clean end.
 * - A write is sealed in the turn in which it is called. While no run is open it waits, for at most 30 seconds; when the run has ended it fails.
 * - The end of the writer's scope, when it has succeeded, is a half-close: reading goes on.
 */
export const make = (options: Options): Effect.Effect<Socket.Socket, never, Transport> =>
  Effect.map(Transport, (transport) =>
    fromOpen(Effect.provideService(opened(options), Transport, transport))
  )

/**
 * @example
 * const rpc = RpcClient.layerProtocolSocket().pipe(Layer.provide(SecureSocket.layer({ address: tcp("127.0.0.1", 8080), keys })))
 */
export const layer = (options: Options): Layer.Layer<Socket.Socket, never, Transport> =>
  Layer.effect(Socket.Socket, make(options))

const opened = ({
  application: spoken = application,
  checkServer = () => Effect.void,
  ...options
}: Options) =>
  dial({ ...options, checkServer, application: spoken }, "").pipe(
    Effect.tap(({ ready }) => ready),
    Effect.mapError((cause) =>
      Socket.isSocketError(cause) ? cause : new Socket.SocketGenericError({ reason: "Open", cause })
    )
  )

/** One run: its channel, and what ends it from this side. */
interface Run {
  readonly channel: Channel
  readonly closed: Deferred.Deferred<void, Socket.SocketError>
}

/** A socket that gets the channel of each run from `open`, and is as one of `make` in all else. */
export const fromOpen = (
  open: Effect.Effect<Channel, Socket.SocketError, Scope.Scope>
): Socket.Socket => {
  let current: Run | undefined
  /** Set from the end of a run to the beginning of the next. */
  let over: Socket.SocketError | undefined
  const latch = Effect.unsafeMakeLatch()
  const runRaw: Socket.Socket["runRaw"] = (handler, { onOpen = Effect.void } = {}) =>
    Effect.scopedWith((scope) =>
      Effect.gen(function* () {
        over = undefined
        latch.unsafeClose()
        const channel = yield* Scope.extend(open, scope)
        const run: Run = { channel, closed: yield* Deferred.make<void, Socket.SocketError>() }
        current = run
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            if (current !== run) return
            current = undefined
            over = new Socket.SocketCloseError({
              reason: "Close",
              code: 1006,
              closeReason: "the connection has ended"
            })
            // Who waits learns it.
            latch.unsafeOpen()
          })
        )
        latch.unsafeOpen()
        yield* onOpen
        yield* pump(run, handler)
      }).pipe(Effect.provideService(Scope.Scope, scope))
    ).pipe(Effect.interruptible)
  const write = (chunk: Outgoing): Effect.Effect<void, Socket.SocketError> =>
    Effect.suspend(() => {
      if (current !== undefined) return writeTo(current, chunk)
      if (over !== undefined) return Effect.fail(over)
      return latch.await.pipe(
        Effect.timeoutFail({
          duration: limits.openPatience,
          onTimeout: () =>
            new Socket.SocketGenericError({
              reason: "Write",
              cause: new Error("the socket did not open in time")
            })
        }),
        Effect.zipRight(Effect.suspend(() => write(chunk)))
      )
    })
  return socketOf(runRaw, write, () => current)
}

/** A socket of a channel that stands, for as long as its scope: writes need no run, and go on after it. */
export const fromChannel = (channel: Channel): Socket.Socket => {
  const run: Run = { channel, closed: Deferred.unsafeMake(FiberId.none) }
  return socketOf(
    (handler, { onOpen = Effect.void } = {}) =>
      Effect.interruptible(Effect.zipRight(onOpen, pump(run, handler))),
    (chunk) => writeTo(run, chunk),
    () => run
  )
}

type Outgoing = Uint8Array | string | Socket.CloseEvent

const socketOf = (
  runRaw: Socket.Socket["runRaw"],
  write: (chunk: Outgoing) => Effect.Effect<void, Socket.SocketError>,
  current: () => Run | undefined
): Socket.Socket =>
  Socket.Socket.of({
    [Socket.TypeId]: Socket.TypeId,
    runRaw,
    // What comes is bytes alone.
    run: runRaw as Socket.Socket["run"],
    // Who fails has not said all.
    writer: Effect.acquireRelease(Effect.succeed(write), (_, exit) =>
      Exit.isSuccess(exit)
        ? Effect.ignore(Effect.suspend(() => current()?.channel.end ?? Effect.void))
        : Effect.void
    )
  })

/** Reads to the peer's end, or to a CloseEvent of ours. */
const pump = <A, E, R>(
  { channel, closed }: Run,
  handler: (chunk: Uint8Array) => Effect.Effect<A, E, R> | void
): Effect.Effect<void, Socket.SocketError | E, R> =>
  Effect.gen(function* () {
    for (;;) {
      const item = yield* Effect.mapError(channel.read, readError)
      if (item === undefined) return
      if (item instanceof Control)
        return yield* readError(
          new ChannelTampered({
            peer: channel.peer,
            detail: "a control message where none belongs"
          })
        )
      const handled = handler(item)
      if (Effect.isEffect(handled)) yield* handled
    }
  }).pipe(Effect.raceFirst(Deferred.await(closed)))

const readError = (cause: ChannelError): Socket.SocketError =>
  new Socket.SocketGenericError({ reason: "Read", cause })

const writeTo = (
  { channel, closed }: Run,
  chunk: Outgoing
): Effect.Effect<void, Socket.SocketError> => {
  if (!Socket.isCloseEvent(chunk))
    return Effect.mapError(
      channel.write(typeof chunk === "string" ? Buffer.from(chunk) : chunk),
      (cause) => new Socket.SocketGenericError({ reason: "Write", cause })
    )
  const { code, reason: closeReason } = chunk
  if (!Socket.defaultCloseCodeIsError(code))
    return Effect.asVoid(Deferred.succeed(closed, undefined))
  return Effect.zipRight(
    channel.setCloseReason("Failed"),
    Deferred.fail(closed, new Socket.SocketCloseError({ reason: "Close", code, closeReason }))
  )
}
