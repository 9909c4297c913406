// What happens between records and the program, without an Effect per record. In the order in which bytes meet it: reading,
// writing, keeping alive, ending.
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
import { CloseCode, decodeClose, encodeClose, reasonOf } from "./Close.ts"
import type { HandshakeResult } from "./Handshake.ts"
import { Inbound } from "./Inbound.ts"
import {
  Control,
  ReceiveQueue,
  type ChannelItem,
  type ChannelFlow,
  type ChannelListener
} from "./ChannelItem.ts"
import { limits } from "./limits.ts"
import { Outbound, type Hand } from "./Outbound.ts"
import type { Padding } from "./Padding.ts"
import { decodeFin, encodeFin, RecordType, type ChannelRecord } from "./ChannelRecord.ts"

type Resume<A> = (effect: Effect.Effect<A, ChannelError>) => void

/** Called once: the peer's READY has opened, with what a client opens the channel for, or will not come. */
export type Ready = (failed: HandshakeFailed | undefined, opening: string) => void

export interface ChannelStateOptions {
  readonly padding: Padding
  /** What this side, a client, opens the channel for; undefined on a server. */
  readonly opening?: string
}

/** What a socket gives in one read at most: where there is so much, there is likely more. */
const fullRead = 64 * 1024

/** Everything that happens between records and the program, without an Effect per record. */
export class ChannelState {
  readonly #peer: string
  /** Of a server, before its READY: it has judged our keys, and let us in. */
  readonly #hasAnswered: boolean
  readonly #flow: Flow
  readonly #inbound: Inbound
  readonly #outbound: Outbound

  // Reading.
  #peerReady = false
  readonly #unread = new ReceiveQueue()
  #received = 0
  #finReceived = false
  #quiet = false
  #closeReceived = false
  #reader: Resume<ChannelItem | undefined> | undefined
  #sink: ChannelListener | undefined
  #sinkPaused = false
  #sinkHeardEnd = false
  readonly #onReady: Ready
  readonly #opening: string | undefined

  // Writing.
  #readySaid = false
  #sent = 0
  #finSent = false
  #blocked = false
  /** How the next flush was asked for. */
  #flushing: ((flush: () => void) => unknown) | undefined
  #pongOwed = false
  readonly #writers = new Set<() => void>()

  /** What ended it. */
  #over: (() => ChannelError) | undefined
  #wireIsOver = false
  #onGone: (() => void) | undefined
  /** Something came since this was last looked at. */
  heard = false
  /** The peer took what waited since this was last looked at. */
  taken = false

  constructor(
    connection: Connection,
    session: HandshakeResult,
    { padding, opening }: ChannelStateOptions,
    onReady: Ready
  ) {
    this.#peer = session.peerName ?? connection.peer
    this.#hasAnswered = session.suite.lengths.length === 2
    this.#flow = connection.flow
    this.#onReady = onReady
    this.#opening = opening
    this.#inbound = new Inbound(session.receive)
    const hand: Hand = (bytes, taken) => {
      if (this.#flow.write(bytes, taken)) return true
      this.#blocked = true
      return false
    }
    this.#outbound = new Outbound(session.send, padding, hand, session.preface)
  }

  /** From now on what comes is records. */
  start(): void {
    this.#flow.start({
      bytes: this.bytes,
      drained: this.#drained,
      end: () => this.#wireOver("ended without FIN"),
      lost: this.#wireOver
    })
  }

  // ---- reading

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
      if (!this.#finReceived && !this.#quiet) return this.#over?.()
      this.#quiet = false
      return Effect.succeed(undefined)
    }
    if (this.#unread.bytes < limits.unreadBytes / 2) this.#flow.resume()
    return Effect.succeed(item)
  }

  readonly interruptRead: Effect.Effect<void> = Effect.sync(() => {
    this.#quiet = true
    this.#wakeReader()
  })

  #wakeReader(): void {
    const resume = this.#reader
    if (resume === undefined) return
    this.#reader = undefined
    // Taken by the reader itself: one that is interrupted at this moment takes nothing.
    resume(this.read)
  }

  readonly bytes = (chunk: Uint8Array): void => {
    if (this.#over !== undefined) return
    const broken = this.#inbound.push(chunk, this.#record)
    // What was opened lies elsewhere.
    this.#flow.release(chunk)
    if (broken !== undefined) this.#break(broken)
    if (this.#sink !== undefined) return this.#deliver()
    if (this.#unread.bytes >= limits.unreadBytes) this.#flow.pause()
    if (this.#unread.length > 0) this.#wakeReader()
  }

  readonly flow: ChannelFlow = {
    start: (sink) => {
      this.#sink = sink
      this.#flow.resume()
      this.#deliver()
    },
    pause: () => {
      this.#sinkPaused = true
      this.#flow.pause()
    },
    resume: () => {
      this.#sinkPaused = false
      this.#deliver()
      if (!this.#sinkPaused) this.#flow.resume()
    },
    write: (bytes, taken) => {
      if (this.#refusal() !== undefined) return true
      const { length } = bytes
      this.#sent += length
      this.#outbound.data(bytes, taken)
      // The rest of a full read would make a record of twenty bytes: what the socket has ready comes before the end of this turn.
      this.#flushSoon(length >= fullRead ? setImmediate : queueMicrotask)
      return !this.#blocked
    },
    writeError: () => this.#refusal(),
    sendControl: (body) => {
      if (this.#refusal() === undefined) this.#send(RecordType.Control, body)
    },
    end: () => {
      if (!this.#finSent && !this.#closeReceived && this.#refusal() === undefined) this.#sayFin()
    }
  }

  /** Gives the sink what is there for it, as long as it takes it. */
  #deliver(): void {
    const sink = this.#sink
    if (sink === undefined) return
    while (!this.#sinkPaused) {
      const item = this.#unread.shift()
      if (item === undefined) break
      sink.item(item)
      if (this.#sink !== sink) return
    }
    const whole = this.#finReceived && this.#unread.length === 0
    if (whole && !this.#sinkHeardEnd) {
      this.#sinkHeardEnd = true
      sink.end()
    }
    // What is not whole is not waited for: its reader may never take it.
    if (this.#over === undefined || (this.#finReceived && !whole) || this.#sink !== sink) return
    this.#sink = undefined
    sink.closed(this.#over())
  }

  readonly #record = (record: ChannelRecord): void => {
    if (this.#over !== undefined) return
    this.heard = true
    const word = this.#peerReady ? this.#next(record) : this.#first(record)
    if (word !== undefined) this.#break(word)
  }

  /** PROTOCOL.md section 6: the first record of each side is READY, and no other is. */
  #first({ type, body }: ChannelRecord): string | undefined {
    if (type !== RecordType.Ready) return "the first record is not READY"
    if (this.#opening !== undefined && body.length > 0)
      return "a READY of a server that is not empty"
    this.#peerReady = true
    this.#onReady(undefined, Buffer.from(body).toString())
    return undefined
  }

  /** What breaks the protocol, or undefined. */
  #next({ type, body }: ChannelRecord): string | undefined {
    if (this.#closeReceived) return "a record after CLOSE"
    switch (type) {
      case RecordType.Ready:
        return "a second READY"
      case RecordType.Data:
      case RecordType.Control: {
        if (this.#finReceived) return "more after FIN"
        const item = type === RecordType.Data ? body : new Control(body)
        if (type === RecordType.Data) this.#received += body.length
        this.#unread.push(item)
        return undefined
      }
      case RecordType.Fin: {
        if (this.#finReceived) return "a second FIN"
        if (decodeFin(body) !== this.#received) return "a FIN with another total"
        this.#finReceived = true
        this.#wakeReader()
        return undefined
      }
      case RecordType.Close:
        return this.#closed(body)
      case RecordType.Ping: {
        // One at most is owed: a peer that asks and does not read gets no memory of ours. Nothing goes before our READY.
        if (this.#blocked || !this.#readySaid) this.#pongOwed = true
        else this.#send(RecordType.Pong)
        return undefined
      }
      case RecordType.Pong:
        return undefined
    }
  }

  #closed(body: Uint8Array): string | undefined {
    const { code, sent } = decodeClose(body)
    if (sent !== this.#received) return "a CLOSE with another total"
    this.#closeReceived = true
    if (code === CloseCode.Done) this.#finReceived = true
    // The peer takes nothing more: our stream ends too, and what is still unread stays readable.
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

  // ---- writing

  sayReady(): void {
    this.#send(
      RecordType.Ready,
      this.#opening === undefined ? undefined : Buffer.from(this.#opening)
    )
    this.#readySaid = true
    if (!this.#blocked) this.#payPong()
  }

  /** A record that goes out with whatever else this turn says. */
  #send(type: RecordType, body?: Uint8Array): void {
    this.#outbound.record(type, body)
    this.#flushSoon()
  }

  readonly write = (bytes: Uint8Array): Effect.Effect<void, ChannelError> =>
    Effect.suspend(() => {
      const refused = this.#refusal()
      if (refused !== undefined) return refused
      this.#sent += bytes.length
      this.#outbound.data(bytes)
      this.#flushSoon()
      return this.#blocked ? this.#drain : Effect.void
    })

  readonly control = (body: Uint8Array): Effect.Effect<void, ChannelError> =>
    Effect.suspend(() => {
      const refused = this.#refusal()
      if (refused !== undefined) return refused
      this.#send(RecordType.Control, body)
      return this.#blocked ? this.#drain : Effect.void
    })

  readonly end: Effect.Effect<void, ChannelError> = Effect.suspend(() => {
    // A peer that has closed wants no FIN.
    if (this.#finSent || this.#closeReceived) return Effect.void
    const refused = this.#refusal()
    if (refused !== undefined) return refused
    this.#sayFin()
    return this.#blocked ? this.#drain : Effect.void
  })

  /** Why nothing can be written, or undefined. */
  #refusal(): ChannelError | undefined {
    if (this.#over !== undefined) return this.#over()
    if (this.#finSent)
      return new ChannelClosed({ peer: this.#peer, reason: "this side has said FIN already" })
    if (!this.#outbound.worn) return undefined
    return this.#sayClose(CloseCode.Exhausted)()
  }

  /** At the end of this turn: what is written in one turn travels in one record. While the peer does not keep up, not at all. */
  #flushSoon(soon: (flush: () => void) => unknown = queueMicrotask): void {
    // What is put off to the end of the turn does not hold up what is not.
    if (this.#blocked || this.#flushing === soon || this.#flushing === queueMicrotask) return
    this.#flushing = soon
    soon(() => {
      this.#flushing = undefined
      if (!this.#blocked && this.#over === undefined) this.#outbound.flush()
    })
  }

  readonly #drain: Effect.Effect<void, ChannelError> = Effect.async((resume) => {
    const done = () => resume(this.#over?.() ?? Effect.void)
    if (this.#over !== undefined || !this.#blocked) return done()
    this.#writers.add(done)
    return Effect.sync(() => this.#writers.delete(done))
  })

  readonly #drained = (): void => {
    this.#blocked = false
    this.taken = true
    if (this.#over !== undefined) return
    this.#payPong()
    this.#outbound.drained()
    // The writers first: a flush now would make a short record of what waits.
    if (!this.#blocked) this.#wakeWriters()
    if (!this.#blocked) this.#sink?.drained()
    this.#flushSoon()
  }

  #payPong(): void {
    if (!this.#pongOwed) return
    this.#pongOwed = false
    this.#send(RecordType.Pong)
  }

  #wakeWriters(): void {
    const writers = [...this.#writers]
    this.#writers.clear()
    for (const done of writers) done()
  }

  #sayFin(): void {
    this.#finSent = true
    this.#send(RecordType.Fin, encodeFin(this.#sent))
  }

  // ---- keeping alive

  /** True while what was written waits for the peer to take it. */
  get blocked(): boolean {
    return this.#blocked
  }

  /** True while silence means nothing: the peer does not read, or we do not. */
  get busy(): boolean {
    return this.#blocked || this.#sinkPaused || this.#unread.bytes >= limits.unreadBytes / 2
  }

  /** Not to a peer that does not read: it would pile up. */
  ping(): void {
    if (this.#over === undefined && !this.#blocked) this.#send(RecordType.Ping)
  }

  // ---- ending

  timedOut(): void {
    if (this.#over !== undefined) return
    const peer = this.#peer
    this.#fail(() =>
      this.#peerReady ? new PeerDead({ peer }) : this.#unready("no answer in time")
    )
    this.#flow.reset()
  }

  #sayClose(code: CloseCode): () => ChannelClosed {
    // FIN says that all was said, which only this code does too.
    if (code === CloseCode.Done && !this.#finSent) this.#sayFin()
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

  /** How the close will be told. */
  closeCode: CloseCode = CloseCode.Done

  /** Says FIN and CLOSE and ends the stream; calls back when the peer has ended its own. */
  close(gone: () => void): void {
    this.#sink = undefined
    if (this.#over === undefined) this.#sayClose(this.closeCode)
    if (this.#wireIsOver) return gone()
    this.#onGone = gone
    this.#unread.clear()
    this.#flow.resume()
  }

  /** The wire is over; whether the peer had said all, its FIN tells. */
  readonly #wireOver = (code: string): void => {
    this.#wireIsOver = true
    this.#onGone?.()
    if (this.#over !== undefined) return
    if (!this.#peerReady) this.#fail(() => this.#unready("it closed the connection"))
    else this.#fail(() => new StreamTruncated({ peer: this.#peer, code }))
  }

  #unready(reason: string): HandshakeFailed {
    return new HandshakeFailed({ peer: this.#peer, reason, transient: this.#hasAnswered })
  }

  #break(detail: string): void {
    this.#fail(() =>
      this.#peerReady
        ? new ChannelTampered({ peer: this.#peer, detail })
        : new HandshakeFailed({ peer: this.#peer, reason: detail })
    )
    // At once. A stranger's ends when every stranger's does (Channel).
    if (this.#peerReady) this.#flow.reset()
  }

  /** An error costs as much as a record, and most connections end in good order: it is made when somebody asks. */
  #fail(make: () => ChannelError): void {
    if (this.#over !== undefined) return
    let error: ChannelError | undefined
    this.#over = () => (error ??= make())
    if (!this.#peerReady) {
      const failed = this.#over()
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
