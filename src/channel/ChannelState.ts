// A channel between its byte stream and the program, with callbacks instead of an Effect per record.
//
//     byte stream -> Inbound -> ChannelState.#receive -> Reading -> read, or listener
//     byte stream <- Outbound <------------------------- Writing <- write, or flow.write
//
// Three states make up the channel. Each changes in one direction only:
//
//     Reading   open -> finished                     (FIN, or CLOSE 0)
//     Writing   unready -> open -> finished          (READY, FIN)
//     Closing   awaiting READY -> open -> ended      (the peer's READY; CLOSE, a fault, or the end
//                                                     of the byte stream)
//
// The effects of each record (the table of PROTOCOL.md section 8):
//
//     received        Reading open                 Reading finished   Closing ended
//     DATA, CONTROL   deliver                      violation          ignore
//     FIN             Reading finished             violation          ignore
//     PING            PONG                         PONG               ignore
//     CLOSE 0         Reading finished, end        end                ignore
//     CLOSE, other    end                          end                ignore
//     end of stream   end: truncated               end: truncated     the connection is over
//
// An end with CLOSE, received or sent, ends this side's byte stream; a violation and a deadline reset
// it. What was received before remains readable.
import { isUtf8 } from "node:buffer"
import type { Connection, Flow } from "../transports/Connection.ts"
import { HandshakeFailed } from "./ChannelErrors.ts"
import { Control, type ChannelFlow } from "./ChannelItem.ts"
import { decodeFin, RecordType, type ChannelRecord } from "./ChannelRecord.ts"
import { CloseCode, decodeClose } from "./Close.ts"
import { Closing, type Ending } from "./Closing.ts"
import { DuplexFlow } from "./DuplexFlow.ts"
import type { HandshakeResult } from "./Handshake.ts"
import { Inbound } from "./Inbound.ts"
import type { Padding } from "./Padding.ts"
import { Reading } from "./Reading.ts"
import { Writing } from "./Writing.ts"

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

/** Handles the body of a record. Returns the protocol violation, if any. */
type Receive = (channel: ChannelState, body: Uint8Array) => string | undefined

export class ChannelState {
  readonly #peer: string
  readonly #opening: string | undefined
  readonly #flow: Flow
  readonly #inbound: Inbound
  readonly #closing: Closing
  readonly #reading: Reading
  readonly #writing: Writing
  readonly flow: ChannelFlow
  /** Undefined once called: it holds what the handshake needed. */
  #onReady: OnReady | undefined
  /** Number of records that have arrived. */
  records = 0
  /** The code that `close` sends. */
  closeCode: CloseCode = CloseCode.Done

  constructor(
    { peer, flow }: Connection,
    session: HandshakeResult,
    { padding, opening }: ChannelStateOptions,
    onReady: OnReady
  ) {
    this.#peer = session.peerName ?? peer
    this.#opening = opening
    this.#flow = flow
    this.#onReady = onReady
    this.#inbound = new Inbound(session.receive)
    const isAccepted = session.suite.lengths.length === 2
    this.#closing = new Closing({ peer: this.#peer, opening, isAccepted })
    this.#reading = new Reading(flow, this.#closing)
    this.#writing = new Writing(flow, this.#closing, {
      peer: this.#peer,
      cipher: session.send,
      padding,
      preface: session.preface,
      onExhausted: () => this.#sendClose(CloseCode.Exhausted)
    })
    this.flow = new DuplexFlow(this.#reading, this.#writing)
  }

  /** Starts to receive records. */
  start(): void {
    this.#flow.start({
      bytes: (chunk) => this.#bytes(chunk),
      drained: () => this.#drained(),
      end: () => this.#endOfStream("ended without FIN"),
      lost: (code) => this.#endOfStream(code)
    })
  }

  sendReady(): void {
    this.#writing.ready(this.#opening)
  }

  // ---- the program's side

  get read(): Reading["read"] {
    return this.#reading.read
  }

  get interruptRead(): Reading["interruptRead"] {
    return this.#reading.interruptRead
  }

  get write(): Writing["write"] {
    return this.#writing.write
  }

  get sendControl(): Writing["sendControl"] {
    return this.#writing.sendControl
  }

  get end(): Writing["end"] {
    return this.#writing.end
  }

  // ---- the byte stream

  #bytes(chunk: Uint8Array): void {
    if (this.#closing.isEnded) return
    const violation = this.#inbound.push(chunk, this.#receive)
    // Decryption has copied the bytes.
    this.#flow.release(chunk)
    if (violation !== undefined) this.#violate(violation)
    this.#reading.endOfChunk()
  }

  readonly #receive = ({ type, body }: ChannelRecord): void => {
    if (this.#closing.isEnded) return
    this.records++
    const violation =
      this.#closing.wasOpen || type === RecordType.Ready
        ? ChannelState.#receivers[type](this, body)
        : "the first record is not READY"
    if (violation !== undefined) this.#violate(violation)
  }

  /** One table for all channels. */
  static readonly #receivers: Readonly<Record<RecordType, Receive>> = {
    [RecordType.Ready]: (channel, body) => {
      if (channel.#closing.wasOpen) return "a second READY"
      if (channel.#opening !== undefined && body.length > 0)
        return "a READY of a server that is not empty"
      channel.#closing.open()
      // U+FFFD is in no opening, so that a body that is not UTF-8 requests nothing that exists.
      channel.#ready(undefined, isUtf8(body) ? Buffer.from(body).toString() : "\uFFFD")
      return undefined
    },
    [RecordType.Data]: (channel, body) => {
      if (channel.#reading.isFinished) return "DATA or CONTROL after FIN"
      channel.#reading.add(body, body.length)
      return undefined
    },
    [RecordType.Control]: (channel, body) => {
      if (channel.#reading.isFinished) return "DATA or CONTROL after FIN"
      channel.#reading.add(new Control(body), 0)
      return undefined
    },
    [RecordType.Fin]: (channel, body) => {
      if (channel.#reading.isFinished) return "a second FIN"
      if (decodeFin(body) !== channel.#reading.received) return "a FIN with a wrong total"
      channel.#reading.finish()
      channel.#reading.wake()
      return undefined
    },
    [RecordType.Close]: (channel, body) => {
      const { code, sent } = decodeClose(body)
      if (sent !== channel.#reading.received) return "a CLOSE with a wrong total"
      if (code === CloseCode.Done) channel.#reading.finish()
      // The peer reads nothing more, so this side ends its stream too.
      channel.#end({ _tag: "CloseReceived", code })
      channel.#flow.end()
      return undefined
    },
    [RecordType.Ping]: (channel) => {
      channel.#writing.pong()
      return undefined
    },
    [RecordType.Pong]: () => undefined
  }

  #drained(): void {
    this.#writing.drained()
    if (this.#closing.isEnded) return
    if (!this.#writing.isBlocked) this.#reading.listener?.drained()
    this.#writing.scheduleFlush()
  }

  /** Handles the end of the byte stream. Without a preceding CLOSE it is a truncation. */
  #endOfStream(code: string): void {
    this.#closing.endStream()
    this.#end({ _tag: "StreamEnded", code })
  }

  // ---- keepalive

  /** True while written bytes wait for the peer to take them. */
  get blocked(): boolean {
    return this.#writing.isBlocked
  }

  /** The peer has taken bytes that were waiting. KeepAlive clears it. */
  get hasDrained(): boolean {
    return this.#writing.hasDrained
  }

  set hasDrained(hasDrained: boolean) {
    this.#writing.hasDrained = hasDrained
  }

  /**
   * True while silence does not show that the peer is dead, because this side does not read. A peer
   * that does not read sends PINGs all the same.
   */
  get busy(): boolean {
    return this.#reading.isBusy
  }

  ping(): void {
    this.#writing.ping()
  }

  // ---- closing

  /** Ends the channel after a deadline or unanswered PINGs. */
  timedOut(): void {
    if (this.#closing.isEnded) return
    this.#end({ _tag: "TimedOut" })
    this.#flow.reset()
  }

  /** Resets the connection: the peer has broken the protocol of the program inside the channel. */
  reset(): void {
    this.#violate("it broke the protocol of the service")
    this.#flow.reset()
  }

  /** Sends FIN and CLOSE and ends the stream; calls back when the peer has ended its stream too. */
  close(onStreamEnd: () => void): void {
    this.#reading.stop()
    if (!this.#closing.isEnded) this.#sendClose(this.closeCode)
    this.#closing.onStreamEnd(onStreamEnd)
    this.#reading.drop()
  }

  #sendClose(code: CloseCode): void {
    this.#writing.close(code, this.#reading.received, code === CloseCode.Done)
    this.#end({ _tag: "CloseSent", code })
    this.#flow.end()
  }

  #violate(detail: string): void {
    const { wasOpen } = this.#closing
    this.#end({ _tag: "Violation", detail })
    // Before READY, ServerHandshake closes the connection at the same time as after any other
    // failure of a handshake.
    if (wasOpen) this.#flow.reset()
  }

  /** Ends the channel, and tells everybody who waits. */
  #end(ending: Ending): void {
    if (this.#closing.isEnded) return
    this.#closing.end(ending)
    if (!this.#closing.wasOpen) this.#ready(this.#handshakeFailed(), "")
    this.#reading.wake()
    this.#writing.wake()
    this.#reading.deliver()
  }

  #ready(failed: HandshakeFailed | undefined, opening: string): void {
    const onReady = this.#onReady
    this.#onReady = undefined
    onReady?.(failed, opening)
  }

  #handshakeFailed(): HandshakeFailed {
    const { error } = this.#closing
    return error instanceof HandshakeFailed
      ? error
      : new HandshakeFailed({ peer: this.#peer, reason: error?.message ?? "it has ended" })
  }
}
