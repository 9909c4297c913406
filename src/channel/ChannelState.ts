// The state of a channel between its records and the program, with callbacks instead of an Effect
// per record. Its methods are in this order: reading, writing, keepalive, closing.
import { isUtf8 } from "node:buffer"
import * as Effect from "effect/Effect"
import type { Connection, Flow } from "../transports/Connection.ts"
import {
  ChannelClosed,
  ChannelRefused,
  ChannelTampered,
  HandshakeFailed,
  NotOffered,
  PeerDead,
  StreamTruncated,
  type ChannelError
} from "./ChannelErrors.ts"
import {
  Control,
  ReceiveQueue,
  type ChannelFlow,
  type ChannelItem,
  type ChannelListener
} from "./ChannelItem.ts"
import { decodeFin, encodeFin, RecordType, type ChannelRecord } from "./ChannelRecord.ts"
import { CloseCode, decodeClose, encodeClose, reasonOf } from "./Close.ts"
import type { HandshakeResult } from "./Handshake.ts"
import { Inbound } from "./Inbound.ts"
import { closedByPeer } from "./HandshakeDriver.ts"
import type { HandshakeFailure } from "./HandshakeFailure.ts"
import { limits } from "./limits.ts"
import { Outbound, type WriteToFlow } from "./Outbound.ts"
import type { Padding } from "./Padding.ts"

type Resume<A> = (effect: Effect.Effect<A, ChannelError>) => void

/**
 * Called once: when the peer's READY has arrived, with a client's opening, or when it cannot arrive
 * any more.
 */
export type OnReady = (failed: HandshakeFailed | undefined, opening: string) => void

export interface ChannelStateOptions {
  readonly padding: Padding
  /** The opening of this side, when it is the client; undefined on a server. */
  readonly opening?: string
}

export class ChannelState {
  readonly #peer: string
  /** True on a client whose handshake has shown that the server accepts its keys, before READY. */
  readonly #isAccepted: boolean
  readonly #flow: Flow
  readonly #inbound: Inbound
  readonly #outbound: Outbound

  // Reading.
  #peerReady = false
  readonly #unread = new ReceiveQueue()
  /** DATA bytes received. */
  #received = 0
  #finReceived = false
  #readInterrupted = false
  #closeReceived = false
  #reader: Resume<ChannelItem | undefined> | undefined
  #listener: ChannelListener | undefined
  #listenerPaused = false
  #listenerEnded = false
  readonly #onReady: OnReady
  readonly #opening: string | undefined

  // Writing.
  #readySent = false
  /** DATA bytes sent. */
  #sent = 0
  #finSent = false
  #blocked = false
  #isFlushScheduled = false
  #pongPending = false
  readonly #waitingWriters = new Set<() => void>()

  /** The error with which the channel ended. */
  #error: (() => ChannelError) | undefined
  #flowEnded = false
  #onFlowEnd: (() => void) | undefined
  /** A record has arrived. KeepAlive clears it. */
  hasReceived = false
  /** The peer has taken bytes that were waiting. KeepAlive clears it. */
  hasDrained = false

  constructor(
    connection: Connection,
    session: HandshakeResult,
    { padding, opening }: ChannelStateOptions,
    onReady: OnReady
  ) {
    this.#peer = session.peerName ?? connection.peer
    this.#isAccepted = session.suite.lengths.length === 2
    this.#flow = connection.flow
    this.#onReady = onReady
    this.#opening = opening
    this.#inbound = new Inbound(session.receive)
    const write: WriteToFlow = (bytes, released) => {
      if (this.#flow.write(bytes, released)) return true
      this.#blocked = true
      return false
    }
    this.#outbound = new Outbound(session.send, padding, write, session.preface)
  }

  /** Starts to receive records. */
  start(): void {
    this.#flow.start({
      bytes: this.bytes,
      drained: this.#drained,
      end: () => this.#endOfFlow("ended without FIN"),
      lost: this.#endOfFlow
    })
  }

  // ---- reading

  readonly bytes = (chunk: Uint8Array): void => {
    if (this.#error !== undefined) return
    const violation = this.#inbound.push(chunk, this.#receive)
    // Decryption has copied the bytes.
    this.#flow.release(chunk)
    if (violation !== undefined) this.#violate(violation)
    if (this.#listener !== undefined) return this.#deliver()
    if (this.#unread.bytes >= limits.unreadBytes) this.#flow.pause()
    if (this.#unread.length > 0) this.#wakeReader()
  }

  readonly #receive = (record: ChannelRecord): void => {
    if (this.#error !== undefined) return
    this.hasReceived = true
    const violation = this.#peerReady ? this.#receiveNext(record) : this.#receiveFirst(record)
    if (violation !== undefined) this.#violate(violation)
  }

  /**
   * Handles the first record, which must be READY. Returns the protocol violation, if any.
   * PROTOCOL.md section 6.
   */
  #receiveFirst({ type, body }: ChannelRecord): string | undefined {
    if (type !== RecordType.Ready) return "the first record is not READY"
    if (this.#opening !== undefined && body.length > 0)
      return "a READY of a server that is not empty"
    this.#peerReady = true
    // U+FFFD is in no opening, so that a body that is not UTF-8 requests nothing that exists.
    this.#onReady(undefined, isUtf8(body) ? Buffer.from(body).toString() : "\uFFFD")
    return undefined
  }

  /** Handles a record after READY. Returns the protocol violation, if any. */
  #receiveNext({ type, body }: ChannelRecord): string | undefined {
    if (this.#closeReceived) return "a record after CLOSE"
    switch (type) {
      case RecordType.Ready:
        return "a second READY"
      case RecordType.Data:
      case RecordType.Control: {
        if (this.#finReceived) return "DATA or CONTROL after FIN"
        const item = type === RecordType.Data ? body : new Control(body)
        if (type === RecordType.Data) this.#received += body.length
        this.#unread.push(item)
        return undefined
      }
      case RecordType.Fin: {
        if (this.#finReceived) return "a second FIN"
        if (decodeFin(body) !== this.#received) return "a FIN with a wrong total"
        this.#finReceived = true
        this.#wakeReader()
        return undefined
      }
      case RecordType.Close:
        return this.#receiveClose(body)
      case RecordType.Ping: {
        // At most one PONG is pending, so that a peer that sends PINGs and does not read costs no
        // memory. Nothing may precede this side's READY.
        if (this.#blocked || !this.#readySent) this.#pongPending = true
        else this.#send(RecordType.Pong)
        return undefined
      }
      case RecordType.Pong:
        return undefined
    }
  }

  #receiveClose(body: Uint8Array): string | undefined {
    const { code, sent } = decodeClose(body)
    if (sent !== this.#received) return "a CLOSE with a wrong total"
    this.#closeReceived = true
    if (code === CloseCode.Done) this.#finReceived = true
    // The peer reads nothing more, so this side ends its stream too. Unread items remain readable.
    const peer = this.#peer
    const opening = this.#opening ?? ""
    this.#fail(() => {
      if (code === CloseCode.Refused) return new ChannelRefused({ peer })
      if (code === CloseCode.NotOffered) return new NotOffered({ peer, opening })
      return new ChannelClosed({ peer, reason: reasonOf(code) })
    })
    this.#flow.end()
    return undefined
  }

  readonly read: Effect.Effect<ChannelItem | undefined, ChannelError> = Effect.suspend(
    () => this.#take() ?? this.#waitToRead
  )

  readonly #waitToRead: Effect.Effect<ChannelItem | undefined, ChannelError> = Effect.async(
    (resume) => {
      this.#reader = resume
      return Effect.sync(() => {
        this.#reader = undefined
      })
    }
  )

  #take(): Effect.Effect<ChannelItem | undefined, ChannelError> | undefined {
    const item = this.#unread.shift()
    if (item === undefined) {
      if (!this.#finReceived && !this.#readInterrupted) return this.#error?.()
      this.#readInterrupted = false
      return Effect.succeed(undefined)
    }
    if (this.#unread.bytes < limits.unreadBytes / 2) this.#flow.resume()
    return Effect.succeed(item)
  }

  readonly interruptRead: Effect.Effect<void> = Effect.sync(() => {
    this.#readInterrupted = true
    this.#wakeReader()
  })

  #wakeReader(): void {
    const resume = this.#reader
    if (resume === undefined) return
    this.#reader = undefined
    // The fiber takes the item itself, so that an interruption at this moment loses none.
    resume(this.read)
  }

  readonly flow: ChannelFlow = {
    start: (listener) => {
      this.#listener = listener
      if (!this.#listenerPaused) this.#flow.resume()
      this.#deliver()
    },
    pause: () => {
      this.#listenerPaused = true
      this.#flow.pause()
    },
    resume: () => {
      this.#listenerPaused = false
      this.#deliver()
      if (!this.#listenerPaused) this.#flow.resume()
    },
    write: (bytes, released) => {
      if (this.#writeError() !== undefined) return true
      this.#sent += bytes.length
      this.#outbound.data(bytes, released)
      this.#scheduleFlush()
      return !this.#blocked
    },
    writeNow: (bytes) => {
      if (this.#writeError() !== undefined) return true
      this.#sent += bytes.length
      this.#outbound.dataNow(bytes)
      return !this.#blocked
    },
    writeError: () => this.#writeError(),
    sendControl: (body) => {
      if (this.#writeError() === undefined) this.#send(RecordType.Control, body)
    },
    end: () => {
      if (!this.#finSent && !this.#closeReceived && this.#writeError() === undefined)
        this.#sendFin()
    }
  }

  /** Delivers the unread items to the listener until it pauses, then the end of the channel. */
  #deliver(): void {
    const listener = this.#listener
    if (listener === undefined) return
    while (!this.#listenerPaused) {
      const item = this.#unread.shift()
      if (item === undefined) break
      listener.item(item)
      if (this.#listener !== listener) return
    }
    const isComplete = this.#finReceived && this.#unread.length === 0
    if (isComplete && !this.#listenerEnded) {
      this.#listenerEnded = true
      listener.end()
    }
    // After an incomplete stream `closed` does not wait for unread items: a paused listener may
    // never take them.
    if (this.#error === undefined || (this.#finReceived && !isComplete)) return
    if (this.#listener !== listener) return
    this.#listener = undefined
    listener.closed(this.#error())
  }

  // ---- writing

  sendReady(): void {
    this.#send(
      RecordType.Ready,
      this.#opening === undefined ? undefined : Buffer.from(this.#opening)
    )
    this.#readySent = true
    if (!this.#blocked) this.#sendPendingPong()
  }

  /** Sends a record together with the others of this turn. */
  #send(type: RecordType, body?: Uint8Array): void {
    this.#outbound.record(type, body)
    this.#scheduleFlush()
  }

  readonly write = (bytes: Uint8Array): Effect.Effect<void, ChannelError> =>
    Effect.suspend(() => {
      const error = this.#writeError()
      if (error !== undefined) return error
      this.#sent += bytes.length
      this.#outbound.data(bytes)
      this.#scheduleFlush()
      return this.#blocked ? this.#drain : Effect.void
    })

  readonly sendControl = (body: Uint8Array): Effect.Effect<void, ChannelError> =>
    Effect.suspend(() => {
      const error = this.#writeError()
      if (error !== undefined) return error
      this.#send(RecordType.Control, body)
      return this.#blocked ? this.#drain : Effect.void
    })

  readonly end: Effect.Effect<void, ChannelError> = Effect.suspend(() => {
    // No FIN may follow the peer's CLOSE.
    if (this.#finSent || this.#closeReceived) return Effect.void
    const error = this.#writeError()
    if (error !== undefined) return error
    this.#sendFin()
    return this.#blocked ? this.#drain : Effect.void
  })

  /**
   * Returns the error that a write fails with. Closes a session that has used all of its record
   * numbers.
   */
  #writeError(): ChannelError | undefined {
    if (this.#error !== undefined) return this.#error()
    if (this.#finSent)
      return new ChannelClosed({ peer: this.#peer, reason: "this side has already sent FIN" })
    if (!this.#outbound.exhausted) return undefined
    return this.#sendClose(CloseCode.Exhausted)()
  }

  /**
   * Schedules a flush at the end of this turn, so that its writes share a record. While the send
   * buffer is full nothing is flushed.
   */
  #scheduleFlush(): void {
    if (this.#blocked || this.#isFlushScheduled) return
    this.#isFlushScheduled = true
    queueMicrotask(this.#flushScheduled)
  }

  readonly #flushScheduled = (): void => {
    this.#isFlushScheduled = false
    if (!this.#blocked && this.#error === undefined) this.#outbound.flush()
  }

  readonly #drain: Effect.Effect<void, ChannelError> = Effect.async((resume) => {
    const done = () => resume(this.#error?.() ?? Effect.void)
    if (this.#error !== undefined || !this.#blocked) return done()
    this.#waitingWriters.add(done)
    return Effect.sync(() => this.#waitingWriters.delete(done))
  })

  readonly #drained = (): void => {
    this.#blocked = false
    this.hasDrained = true
    if (this.#error !== undefined) return
    this.#sendPendingPong()
    this.#outbound.drained()
    // Wakes the writers before the flush, which would otherwise seal a short record.
    if (!this.#blocked) this.#wakeWriters()
    if (!this.#blocked) this.#listener?.drained()
    this.#scheduleFlush()
  }

  #sendPendingPong(): void {
    if (!this.#pongPending) return
    this.#pongPending = false
    this.#send(RecordType.Pong)
  }

  #wakeWriters(): void {
    const writers = [...this.#waitingWriters]
    this.#waitingWriters.clear()
    for (const done of writers) done()
  }

  #sendFin(): void {
    this.#finSent = true
    this.#send(RecordType.Fin, encodeFin(this.#sent))
  }

  // ---- keepalive

  /** True while written bytes wait for the peer to take them. */
  get blocked(): boolean {
    return this.#blocked
  }

  /**
   * True while silence does not show that the peer is dead, because one of the sides does not read.
   */
  get busy(): boolean {
    return this.#blocked || this.#listenerPaused || this.#unread.bytes >= limits.unreadBytes / 2
  }

  /** Sends PING; not to a peer that does not read, for which PINGs would accumulate. */
  ping(): void {
    if (this.#error === undefined && !this.#blocked) this.#send(RecordType.Ping)
  }

  // ---- closing

  /** Ends the channel after a deadline or unanswered PINGs. */
  timedOut(): void {
    if (this.#error !== undefined) return
    const peer = this.#peer
    this.#fail(() =>
      this.#peerReady ? new PeerDead({ peer }) : this.#notReady("timed out", "unanswered")
    )
    this.#flow.reset()
  }

  /** Resets the connection: the peer has broken the protocol of the program inside the channel. */
  reset(): void {
    this.#violate("it broke the protocol of the service")
    this.#flow.reset()
  }

  #sendClose(code: CloseCode): () => ChannelClosed {
    // Only code Done implies FIN.
    if (code === CloseCode.Done && !this.#finSent) this.#sendFin()
    this.#outbound.record(
      RecordType.Close,
      encodeClose({ code, sent: this.#sent, received: this.#received })
    )
    this.#outbound.flush(true)
    const closed = () => new ChannelClosed({ peer: "this side", reason: reasonOf(code) })
    this.#fail(closed)
    this.#flow.end()
    return closed
  }

  /** The code that `close` sends. */
  closeCode: CloseCode = CloseCode.Done

  /** Sends FIN and CLOSE and ends the stream; calls back when the peer has ended its stream too. */
  close(onFlowEnd: () => void): void {
    this.#listener = undefined
    if (this.#error === undefined) this.#sendClose(this.closeCode)
    if (this.#flowEnded) return onFlowEnd()
    this.#onFlowEnd = onFlowEnd
    this.#unread.clear()
    this.#flow.resume()
  }

  /** Handles the end of the byte stream. Without a preceding CLOSE it is a truncation. */
  readonly #endOfFlow = (code: string): void => {
    this.#flowEnded = true
    this.#onFlowEnd?.()
    if (this.#error !== undefined) return
    if (!this.#peerReady)
      this.#fail(() =>
        this.#notReady(closedByPeer, this.#isAccepted ? "interrupted" : "key refused")
      )
    else this.#fail(() => new StreamTruncated({ peer: this.#peer, code }))
  }

  /** `failure` is what it means on a client; a server tells its log the reason alone. */
  #notReady(reason: string, failure: HandshakeFailure): HandshakeFailed {
    const peer = this.#peer
    return new HandshakeFailed(
      this.#opening === undefined ? { peer, reason } : { peer, reason, failure }
    )
  }

  #violate(detail: string): void {
    this.#fail(() =>
      this.#peerReady
        ? new ChannelTampered({ peer: this.#peer, detail })
        : this.#notReady(detail, "undecipherable")
    )
    // Before READY, Channel.accept closes the connection at the same time as after any other
    // failure of a handshake.
    if (this.#peerReady) this.#flow.reset()
  }

  /**
   * Ends the channel. The error is made on demand: it costs as much CPU as a record, and most
   * channels end without one.
   */
  #fail(make: () => ChannelError): void {
    if (this.#error !== undefined) return
    let error: ChannelError | undefined
    this.#error = () => (error ??= make())
    if (!this.#peerReady) {
      const failed = this.#error()
      this.#onReady(
        failed._tag === "HandshakeFailed"
          ? failed
          : new HandshakeFailed({ peer: this.#peer, reason: failed.message }),
        ""
      )
    }
    this.#wakeReader()
    this.#wakeWriters()
    this.#deliver()
  }
}
