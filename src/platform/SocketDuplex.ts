// A Socket of @effect/platform as a Duplex of Node, on which the transports are built.
import { Duplex } from "node:stream"
import * as Socket from "@effect/platform/Socket"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"

/** A socket of Node, or of the package ws, in the context of the handlers of @effect/platform-node. */
export interface RawSocket {
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
  /** Bytes that a WebSocket has not sent yet. */
  readonly bufferedAmount?: number
  readonly pause?: () => unknown
  readonly resume?: () => unknown
  /** A member of the sockets of node:net. */
  readonly destroy?: () => unknown
  /** A member of the sockets of ws. */
  readonly terminate?: () => unknown
}

/** Bytes that wait in a WebSocket, above which a writer waits. */
const maxBufferedBytes = 1024 * 1024
/** Milliseconds between two looks at them: no event tells that they are fewer. */
const lookMillis = 5

/** The tag of @effect/platform-node, by its key: that package is not required here. */
const NetSocket = Context.GenericTag<RawSocket>("@effect/platform-node/NodeSocket/NetSocket")

/** The request of a WebSocket, likewise. */
const IncomingMessage = Context.GenericTag<{ readonly socket: RawSocket }>(
  "@effect/platform-node-shared/NodeSocketServer/IncomingMessage"
)

type Callback = (error?: Error | null) => void
type Write = (chunk: Uint8Array | Socket.CloseEvent) => Effect.Effect<void, Socket.SocketError>

const errorOf = (code: string): Error => Object.assign(new Error(code), { code })

export class SocketDuplex extends Duplex {
  readonly #runtime: Runtime.Runtime<never>
  /** True for a WebSocket, which is ended by a CloseEvent; undefined until it is known. */
  #isWebSocket: boolean | undefined
  /** The object that the Socket wraps, where its package tells it. */
  #raw: RawSocket | undefined
  #hasLearned = false
  #connection: RawSocket | undefined
  readonly #writerScope = Effect.runSync(Scope.make())
  readonly #aborted = Deferred.unsafeMake<void>(FiberId.none)
  #write$: Write | undefined
  #pendingWrite: Callback | undefined
  /** The socket is over: its end or its loss was reported. */
  #isOver = false
  #isEnding = false
  /** Called when there is room for more bytes. */
  #onRoom: (() => void) | undefined

  constructor(runtime: Runtime.Runtime<never>, isWebSocket: boolean | undefined) {
    super({ allowHalfOpen: true, autoDestroy: true, emitClose: true })
    this.#runtime = runtime
    this.#isWebSocket = isWebSocket
  }

  /** The socket of the connection, where its package tells it. */
  get connection(): RawSocket | undefined {
    return this.#connection
  }

  /** Learns the kind of the socket from the context in which its handlers run. */
  learn(context: Context.Context<never>): void {
    this.#hasLearned = true
    const [net, web] = [
      Context.getOption(context, NetSocket),
      Context.getOption(context, Socket.WebSocket)
    ]
    this.#raw = Option.getOrUndefined<RawSocket>(net)
    if (Option.isSome(web)) this.#raw = web.value as unknown as RawSocket
    this.#connection = Option.match(Context.getOption(context, IncomingMessage), {
      onNone: () => Option.getOrUndefined(net),
      onSome: ({ socket }) => socket
    })
    this.#isWebSocket ??= Option.isSome(web) ? true : Option.isSome(net) ? false : undefined
    if (this.#isEnding && this.#isWebSocket === true) this.#closeWebSocket()
  }

  /** Learns that it is this WebSocket. */
  learnWebSocket(raw: RawSocket): void {
    this.#hasLearned = true
    this.#isWebSocket = true
    this.#raw = raw
  }

  /** Takes the writer of the socket, which is needed before the first write. */
  attach(socket: Socket.Socket): Effect.Effect<void> {
    return Effect.map(Scope.extend(socket.writer, this.#writerScope), (write) => {
      this.#write$ = write
    })
  }

  /** Runs the socket until it is over. Fails if it did not open. */
  run(socket: Socket.Socket, opened: () => void): Effect.Effect<void, Socket.SocketError> {
    return Effect.gen(this, function* () {
      const running = socket.run((chunk) => this.#received(chunk), { onOpen: Effect.sync(opened) })
      const exit = yield* Effect.exit(Effect.raceFirst(running, Deferred.await(this.#aborted)))
      yield* Scope.close(this.#writerScope, Exit.void)
      this.#finish(exit)
      return yield* exit
    })
  }

  /** Ends both directions at once. */
  reset(): void {
    this.#raw?.terminate?.()
    this.#raw?.destroy?.()
    this.destroy()
  }

  /**
   * Takes bytes at once, in order. While there is no room it pauses a socket that can pause; to the
   * others it returns an Effect that ends when there is room: they may wait for it.
   */
  #received(chunk: Uint8Array): Effect.Effect<void> | void {
    if (this.destroyed || this.#isOver || chunk.length === 0) return
    this.push(chunk)
    if (!this.#hasLearned)
      return Effect.contextWithEffect((context: Context.Context<never>) => {
        this.learn(context)
        return this.#waitForRoom() ?? Effect.void
      })
    return this.#waitForRoom()
  }

  #waitForRoom(): Effect.Effect<void> | undefined {
    if (this.readableLength < this.readableHighWaterMark) return undefined
    if (this.#raw?.pause === undefined) return this.#room
    this.#raw.pause()
    return undefined
  }

  readonly #room: Effect.Effect<void> = Effect.async<void>((resume) => {
    if (this.readableLength < this.readableHighWaterMark || this.#isOver) return resume(Effect.void)
    const before = this.#onRoom
    this.#onRoom = () => {
      before?.()
      resume(Effect.void)
    }
  })

  #wakeRoom(): void {
    const onRoom = this.#onRoom
    this.#onRoom = undefined
    onRoom?.()
  }

  #finish(exit: Exit.Exit<void, Socket.SocketError>): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#wakeRoom()
    const isClean = Exit.isSuccess(exit) || isCleanClose(exit)
    if (!isClean) return void this.destroy(errorOf("ECONNRESET"))
    this.push(null)
    this.#settleWrite(errorOf("EPIPE"))
  }

  #settleWrite(error?: Error): void {
    const pending = this.#pendingWrite
    this.#pendingWrite = undefined
    pending?.(error)
  }

  // ---- Duplex

  override _read(): void {
    this.#raw?.resume?.()
    this.#wakeRoom()
  }

  override _write(chunk: Uint8Array, _: string, done: Callback): void {
    const write = this.#write$
    if (this.#isOver || write === undefined) return done(errorOf("EPIPE"))
    this.#pendingWrite = done
    // The bytes may be changed after the call of `done`, and a WebSocket keeps them longer.
    const bytes = this.#isWebSocket === false ? chunk : Uint8Array.from(chunk)
    Runtime.runFork(this.#runtime)(write(bytes)).addObserver((exit) => {
      if (Exit.isSuccess(exit)) this.#written()
      else this.#settleWrite(errorOf("EPIPE"))
    })
  }

  /** Completes the write, once a WebSocket has sent most of what it holds. */
  #written(): void {
    if (this.#isOver || (this.#raw?.bufferedAmount ?? 0) <= maxBufferedBytes) this.#settleWrite()
    else setTimeout(() => this.#written(), lookMillis)
  }

  override _final(done: Callback): void {
    this.#isEnding = true
    if (!this.#isOver) Effect.runFork(Scope.close(this.#writerScope, Exit.void))
    if (this.#isWebSocket === true) this.#closeWebSocket()
    done()
  }

  #closeWebSocket(): void {
    const write = this.#write$
    if (this.#isOver || write === undefined) return
    Runtime.runFork(this.#runtime)(Effect.ignore(write(new Socket.CloseEvent(1000))))
  }

  override _destroy(error: Error | null, done: Callback): void {
    this.#wakeRoom()
    Deferred.unsafeDone(this.#aborted, Effect.void)
    done(error)
  }
}

/** NodeSocket fails with a close of code 1000 where the others succeed. */
const isCleanClose = (exit: Exit.Exit<void, Socket.SocketError>): boolean =>
  Exit.isFailure(exit) &&
  exit.cause._tag === "Fail" &&
  exit.cause.error.reason === "Close" &&
  exit.cause.error.code === 1000
