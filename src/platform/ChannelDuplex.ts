// A channel as a Node.js Duplex. FIN becomes 'end'; a truncated stream is an 'error', never
// an 'end'.
import { Duplex } from "node:stream"
import { Control, type Channel } from "../channel/Channel.ts"
import { ChannelTampered, type ChannelError } from "../channel/ChannelErrors.ts"
import { SealwireError } from "./SealwireError.ts"

/** The peer, as the handshake has authenticated it. */
export interface Peer {
  /** The name of its key here; its address when all peers share one key. */
  readonly name: string
  /** Its address: `127.0.0.1:51234`. */
  readonly from: string
  /** 32 bytes; undefined when all peers share one key. */
  readonly publicKey: Uint8Array | undefined
}

/** Options of a stream. */
export interface DuplexOptions {
  /** If false, the stream ends its writable side when the peer ends. Default: true (half-close). */
  readonly allowHalfOpen?: boolean
  /** Bytes buffered in each direction before back-pressure applies. Default: 64 KiB. */
  readonly highWaterMark?: number
}

const defaultHighWaterMark = 64 * 1024

type Callback = (error?: Error | null) => void

/** Closes the channel; `complete` when both streams have ended. Resolves when the close is sent. */
export type CloseChannel = (complete: boolean) => Promise<void>

export class ChannelDuplex extends Duplex {
  readonly peer: Peer
  readonly #channel: Channel
  readonly #close: CloseChannel
  /** Callback of the write that is not sealed yet. */
  #pendingWrite: Callback | undefined
  /** Callback of `final`, until the peer has accepted all bytes before the end. */
  #pendingFinal: Callback | undefined
  #blocked = false
  #peerEnded = false
  /** Set when the channel has closed. */
  #closeError: SealwireError | undefined

  constructor(
    channel: Channel,
    close: CloseChannel,
    { allowHalfOpen = true, highWaterMark = defaultHighWaterMark }: DuplexOptions
  ) {
    super({ allowHalfOpen, highWaterMark, autoDestroy: true })
    const { peer, peerAddress, publicKey } = channel
    this.peer = { name: peer, from: peerAddress, publicKey }
    this.#channel = channel
    this.#close = close
  }

  /** Starts in a later turn: an early error must find the listeners that the caller adds. */
  override _construct(done: Callback): void {
    setImmediate(() => {
      this.#start()
      done()
    })
  }

  #start(): void {
    const { peer, flow } = this.#channel
    flow.start({
      item: (item) => {
        if (this.destroyed) return
        if (item instanceof Control)
          this.destroy(
            new SealwireError(
              new ChannelTampered({ peer, detail: "an unexpected control message" })
            )
          )
        else if (!this.push(Buffer.from(item.buffer, item.byteOffset, item.length))) flow.pause()
      },
      drained: () => {
        this.#blocked = false
        this.#finishFinal()
      },
      end: () => {
        this.#peerEnded = true
        this.push(null)
      },
      closed: (error) => this.#closed(error)
    })
  }

  override _read(): void {
    this.#channel.flow.resume()
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: Callback): void {
    this.#send([chunk], done)
  }

  override _writev(chunks: ReadonlyArray<{ readonly chunk: Buffer }>, done: Callback): void {
    this.#send(
      chunks.map(({ chunk }) => chunk),
      done
    )
  }

  override _final(done: Callback): void {
    // A peer that has ended and closed the channel does not wait for this side's FIN.
    if (this.#closeError !== undefined)
      return done(this.#closeError.code === "ChannelClosed" ? null : this.#closeError)
    this.#channel.flow.end()
    this.#pendingFinal = done
    this.#finishFinal()
  }

  override _destroy(error: Error | null, done: Callback): void {
    const complete = error === null && this.#peerEnded && this.writableFinished
    this.#failWrites(error ?? this.#closeError ?? new Error("the stream was destroyed"))
    void this.#close(complete).then(
      () => done(error),
      (cause: Error) => done(error ?? cause)
    )
  }

  /** Calls `done` when the last byte is sealed; until then the channel owns the memory. */
  #send(chunks: ReadonlyArray<Buffer>, done: Callback): void {
    const { flow } = this.#channel
    const writeError = flow.writeError()
    if (writeError !== undefined) return done(new SealwireError(writeError))
    const written = chunks.filter(({ length }) => length > 0)
    const last = written.pop()
    if (last === undefined) return done()
    this.#pendingWrite = done
    for (const chunk of written) flow.write(chunk)
    // A new view: the channel identifies chunks by object, and the same buffer may occur twice.
    this.#blocked = !flow.write(last.subarray(), () => this.#finishWrite())
  }

  #finishWrite(): void {
    const done = this.#pendingWrite
    this.#pendingWrite = undefined
    done?.()
  }

  #finishFinal(): void {
    if (this.#blocked && this.#closeError === undefined) return
    const done = this.#pendingFinal
    this.#pendingFinal = undefined
    done?.()
  }

  #failWrites(error: Error): void {
    const pending = [this.#pendingWrite, this.#pendingFinal]
    this.#pendingWrite = this.#pendingFinal = undefined
    for (const done of pending) done?.(error)
  }

  /** The bytes read so far are complete only if the peer has ended before. */
  #closed(error: ChannelError): void {
    this.#closeError = new SealwireError(error)
    if (!this.#peerEnded) return void this.destroy(this.#closeError)
    this.#failWrites(this.#closeError)
    // Nothing more can happen, and a reader at the end may never call end().
    const destroyLater = () =>
      setImmediate(() => {
        if (!this.destroyed && !this.writableEnded) this.destroy()
      })
    if (this.readableEnded) destroyLater()
    else this.once("end", destroyLater)
  }
}
