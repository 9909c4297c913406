// A Socket of @effect/platform over the channel, to a peer whose key is known.
import * as Socket from "@effect/platform/Socket"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { Control, type Channel } from "../channel/Channel.ts"
import { ChannelTampered, type ChannelError } from "../channel/ChannelErrors.ts"
import { checkKeys, dial, type DialOptions } from "../services/Dial.ts"
import { Transport } from "../transports/Transport.ts"
import { application } from "./application.ts"
import { limits } from "./limits.ts"

/** Options of a client socket. */
export interface Options extends DialOptions<Socket.SocketError> {
  /** The application protocol; must be equal on both sides. Default: "sealwire/socket/1". */
  readonly application?: string
}

export { application }

/**
 * Makes a socket that connects for each `run`.
 *
 * - The handler is called synchronously and in order. No more is read while an Effect that it
 *   returned is running.
 * - `onOpen` runs when both sides are authenticated.
 * - `run` succeeds after the peer's FIN. It fails with reason "Open" if the connection or the
 *   handshake failed, with "Close" after a `CloseEvent` of this side, and with "Read" otherwise: a
 *   truncated stream never ends normally.
 * - A write is sealed in the turn in which it is called. Before the first run it waits for at most
 *   30 seconds; after the end of a run it fails.
 * - When the writer's scope closes with success, this side sends FIN (half-close); reading goes on.
 * - It dies with a TypeError when `keys` authenticate no server, which the types forbid.
 */
export const make = (options: Options): Effect.Effect<Socket.Socket, never, Transport> =>
  Effect.map(Transport, (transport) => {
    if (!Effect.isEffect(options.keys)) checkKeys(options.keys)
    return fromOpen(Effect.provideService(open(options), Transport, transport))
  })

/**
 * Provides the socket of `make`.
 *
 * @example
 * const rpc = RpcClient.layerProtocolSocket().pipe(
 *   Layer.provide(SecureSocket.layer({ address: tcp("127.0.0.1", 8080), keys }))
 * )
 */
export const layer = (options: Options): Layer.Layer<Socket.Socket, never, Transport> =>
  Layer.effect(Socket.Socket, make(options))

const open = ({ application: protocol = application, ...options }: Options) =>
  dial({ ...options, application: protocol }, "").pipe(
    Effect.tap(({ ready }) => ready),
    Effect.mapError((cause) =>
      Socket.isSocketError(cause) ? cause : new Socket.SocketGenericError({ reason: "Open", cause })
    )
  )

/** One run of a socket. */
interface Run {
  readonly channel: Channel
  /** Done by a `CloseEvent` of this side. */
  readonly closed: Deferred.Deferred<void, Socket.SocketError>
}

/** Makes a socket as `make` does, with a channel from `open` for each run. */
export const fromOpen = (
  open: Effect.Effect<Channel, Socket.SocketError, Scope.Scope>
): Socket.Socket => {
  let current: Run | undefined
  /** Set between the end of a run and the start of the next. */
  let closeError: Socket.SocketError | undefined
  const latch = Effect.unsafeMakeLatch()
  const runRaw: Socket.Socket["runRaw"] = (handler, { onOpen = Effect.void } = {}) =>
    Effect.scopedWith((scope) =>
      Effect.gen(function* () {
        closeError = undefined
        latch.unsafeClose()
        const channel = yield* Scope.extend(open, scope)
        const run: Run = { channel, closed: yield* Deferred.make<void, Socket.SocketError>() }
        current = run
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            if (current !== run) return
            current = undefined
            closeError = new Socket.SocketCloseError({
              reason: "Close",
              code: 1006,
              closeReason: "the connection has ended"
            })
            // Pending writes fail.
            latch.unsafeOpen()
          })
        )
        latch.unsafeOpen()
        yield* onOpen
        yield* readUntilEnd(run, handler)
      }).pipe(Effect.provideService(Scope.Scope, scope))
    ).pipe(Effect.interruptible)
  const write = (chunk: Outgoing): Effect.Effect<void, Socket.SocketError> =>
    Effect.suspend(() => {
      if (current !== undefined) return writeTo(current, chunk)
      if (closeError !== undefined) return Effect.fail(closeError)
      return latch.await.pipe(
        Effect.timeoutFail({
          duration: limits.openTimeout,
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

/**
 * Makes a socket of an open channel. It lasts as long as the channel's scope: a write needs no run,
 * and may follow one.
 */
export const fromChannel = (channel: Channel): Socket.Socket => {
  const run: Run = { channel, closed: Deferred.unsafeMake(FiberId.none) }
  return socketOf(
    (handler, { onOpen = Effect.void } = {}) =>
      Effect.interruptible(Effect.zipRight(onOpen, readUntilEnd(run, handler))),
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
    // A channel delivers bytes only, never strings.
    run: runRaw as Socket.Socket["run"],
    // After a failure the stream is incomplete: no FIN.
    writer: Effect.acquireRelease(Effect.succeed(write), (_, exit) =>
      Exit.isSuccess(exit)
        ? Effect.ignore(Effect.suspend(() => current()?.channel.end ?? Effect.void))
        : Effect.void
    )
  })

/** Reads until the peer's FIN, or a `CloseEvent` of this side. */
const readUntilEnd = <A, E, R>(
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
            detail: "an unexpected control message"
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
