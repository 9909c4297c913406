// This side's direction of a channel: from the program's writes to records in the send buffer.
import * as Effect from "effect/Effect"
import type { CipherState } from "../noise/CipherState.ts"
import type { Flow } from "../transports/Connection.ts"
import { ChannelClosed, type ChannelError } from "./ChannelErrors.ts"
import { encodeFin, RecordType } from "./ChannelRecord.ts"
import { encodeClose, type CloseCode } from "./Close.ts"
import type { Closing } from "./Closing.ts"
import { Outbound } from "./Outbound.ts"
import type { Padding } from "./Padding.ts"

type Write = Effect.Effect<void, ChannelError>

export interface WritingOptions {
  readonly peer: string
  readonly cipher: CipherState
  readonly padding: Padding
  /** Sent in one write with the first record. */
  readonly preface: Uint8Array
  /** Closes the channel: all record numbers but the last two are used. */
  readonly onExhausted: () => void
}

/**
 * Gathers the writes of one turn into records. While the send buffer is full, records wait, and so
 * do the writers.
 */
export class Writing {
  readonly #peer: string
  readonly #closing: Closing
  readonly #outbound: Outbound
  readonly #onExhausted: () => void
  /** Open: READY is sent. Finished: FIN is sent. */
  #state: "unready" | "open" | "finished" = "unready"
  /** DATA bytes sent. */
  #sent = 0
  #isBlocked = false
  #isFlushScheduled = false
  #isPongPending = false
  readonly #waitingWriters = new Set<() => void>()
  /** The peer has taken bytes that were waiting. KeepAlive clears it. */
  hasDrained = false

  constructor(
    flow: Flow,
    closing: Closing,
    { peer, cipher, padding, preface, onExhausted }: WritingOptions
  ) {
    this.#peer = peer
    this.#closing = closing
    this.#onExhausted = onExhausted
    const write = (bytes: Uint8Array, released?: () => void): boolean => {
      if (flow.write(bytes, released)) return true
      this.#isBlocked = true
      return false
    }
    this.#outbound = new Outbound(cipher, padding, write, preface)
  }

  /** True while written bytes wait for the peer to take them. */
  get isBlocked(): boolean {
    return this.#isBlocked
  }

  // ---- the program's writes

  readonly write = (bytes: Uint8Array): Write =>
    Effect.suspend(() => {
      const error = this.error()
      if (error !== undefined) return error
      this.#data(bytes)
      return this.#room()
    })

  readonly sendControl = (body: Uint8Array): Write =>
    Effect.suspend(() => {
      const error = this.error()
      if (error !== undefined) return error
      this.#send(RecordType.Control, body)
      return this.#room()
    })

  readonly end: Write = Effect.suspend(() => {
    // No FIN may follow the peer's CLOSE.
    if (this.#state === "finished" || this.#closing.isClosedByPeer) return Effect.void
    const error = this.error()
    if (error !== undefined) return error
    this.#finish()
    return this.#room()
  })

  /** Waits until the send buffer has room. */
  #room(): Write {
    return this.#isBlocked ? this.#waitForRoom : Effect.void
  }

  readonly #waitForRoom: Write = Effect.async((resume) => {
    const done = () => resume(this.#closing.error ?? Effect.void)
    if (this.#closing.isEnded || !this.#isBlocked) return done()
    this.#waitingWriters.add(done)
    return Effect.sync(() => this.#waitingWriters.delete(done))
  })

  /** Adds DATA. Returns false when the send buffer is full. Nothing is sent after the end. */
  flowData(bytes: Uint8Array, released?: () => void): boolean {
    if (this.error() !== undefined) return true
    this.#data(bytes, released)
    return !this.#isBlocked
  }

  /** The same at once, for memory that is used again. */
  flowDataNow(bytes: Uint8Array): boolean {
    if (this.error() !== undefined) return true
    this.#sent += bytes.length
    this.#outbound.dataNow(bytes)
    return !this.#isBlocked
  }

  flowControl(body: Uint8Array): void {
    if (this.error() === undefined) this.#send(RecordType.Control, body)
  }

  flowEnd(): void {
    if (this.error() === undefined) this.#finish()
  }

  /**
   * Returns the error that a write fails with. Closes a session that has used all of its record
   * numbers.
   */
  error(): ChannelError | undefined {
    if (this.#closing.isEnded) return this.#closing.error
    if (this.#state === "finished")
      return new ChannelClosed({ peer: this.#peer, reason: "this side has already sent FIN" })
    if (!this.#outbound.exhausted) return undefined
    this.#onExhausted()
    return this.#closing.error
  }

  // ---- records

  ready(opening: string | undefined): void {
    this.#send(RecordType.Ready, opening === undefined ? undefined : Buffer.from(opening))
    this.#state = "open"
    if (!this.#isBlocked) this.#sendPendingPong()
  }

  /** Sends PING; not to a peer that does not read, for which PINGs would accumulate. */
  ping(): void {
    if (!this.#closing.isEnded && !this.#isBlocked) this.#send(RecordType.Ping)
  }

  /**
   * Answers PING. At most one PONG is pending, so that a peer that sends PINGs and does not read
   * costs no memory. Nothing may precede this side's READY.
   */
  pong(): void {
    if (this.#isBlocked || this.#state === "unready") this.#isPongPending = true
    else this.#send(RecordType.Pong)
  }

  /** Sends everything that waits, then CLOSE. Only code Done implies FIN. */
  close(code: CloseCode, received: number, impliesFin: boolean): void {
    if (impliesFin && this.#state !== "finished") this.#finish()
    this.#outbound.record(RecordType.Close, encodeClose({ code, sent: this.#sent, received }))
    this.#outbound.flush(true)
  }

  #data(bytes: Uint8Array, released?: () => void): void {
    this.#sent += bytes.length
    this.#outbound.data(bytes, released)
    this.scheduleFlush()
  }

  #finish(): void {
    this.#state = "finished"
    this.#send(RecordType.Fin, encodeFin(this.#sent))
  }

  /** Sends a record together with the others of this turn. */
  #send(type: RecordType, body?: Uint8Array): void {
    this.#outbound.record(type, body)
    this.scheduleFlush()
  }

  #sendPendingPong(): void {
    if (!this.#isPongPending) return
    this.#isPongPending = false
    this.#send(RecordType.Pong)
  }

  // ---- the send buffer

  /**
   * Schedules a flush at the end of this turn, so that its writes share a record. While the send
   * buffer is full nothing is flushed.
   */
  scheduleFlush(): void {
    if (this.#isBlocked || this.#isFlushScheduled) return
    this.#isFlushScheduled = true
    queueMicrotask(this.#flush)
  }

  readonly #flush = (): void => {
    this.#isFlushScheduled = false
    if (!this.#isBlocked && !this.#closing.isEnded) this.#outbound.flush()
  }

  /** The send buffer has room again: sends full records, and wakes the writers if room is left. */
  drained(): void {
    this.#isBlocked = false
    this.hasDrained = true
    if (this.#closing.isEnded) return
    this.#sendPendingPong()
    this.#outbound.drained()
    // Before the flush, which would otherwise seal a short record.
    if (!this.#isBlocked) this.wake()
  }

  /** Wakes the waiting writers. */
  wake(): void {
    const writers = [...this.#waitingWriters]
    this.#waitingWriters.clear()
    for (const done of writers) done()
  }
}
