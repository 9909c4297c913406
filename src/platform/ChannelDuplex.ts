// A channel as a stream of Node. Its ends are the channel's: FIN is 'end', and what was cut is an error, never an 'end'.
import { Duplex } from "node:stream"
import { Control, type Channel } from "../channel/Channel.ts"
import { ChannelTampered, type ChannelError } from "../channel/ChannelErrors.ts"
import { SealwireError } from "./SealwireError.ts"

/** Who is on the other side: what the handshake proved. */
export interface Peer {
  /** The name its key has here; where it is, when all share one key. */
  readonly name: string
  /** Where it is: `127.0.0.1:51234`. */
  readonly from: string
  /** 32 bytes; undefined where all share one key. */
  readonly publicKey: Uint8Array | undefined
}

/** How a stream keeps and ends what it carries. */
export interface DuplexOptions {
  /** False: the stream ends its own side when the peer has ended its. Default: true, half-close. */
  readonly allowHalfOpen?: boolean
  /** Bytes each way at which the other side is held back. Default: 64 KiB. */
  readonly highWaterMark?: number
}

const defaultHighWaterMark = 64 * 1024

type Callback = (error?: Error | null) => void

/** How the stream has come to its end: `whole` when both sides have said all. Done when the peer has been told. */
export type Closing = (whole: boolean) => Promise<void>

export class ChannelDuplex extends Duplex {
  readonly peer: Peer
  readonly #channel: Channel
  readonly #close: Closing
  /** A write that is not sealed yet. */
  #writing: Callback | undefined
  /** An end of ours that the peer has not had room for. */
  #ending: Callback | undefined
  #blocked = false
  #heardEnd = false
  /** What ended the channel. */
  #over: SealwireError | undefined

  constructor(
    channel: Channel,
    close: Closing,
    { allowHalfOpen = true, highWaterMark = defaultHighWaterMark }: DuplexOptions
  ) {
    super({ allowHalfOpen, highWaterMark, autoDestroy: true })
    const { peer, peerAddress, publicKey } = channel
    this.peer = { name: peer, from: peerAddress, publicKey }
    this.#channel = channel
    this.#close = close
  }

  /** Not before who made it can listen: what has come may be an error. */
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
              new ChannelTampered({ peer, detail: "a control message where none belongs" })
            )
          )
        else if (!this.push(Buffer.from(item.buffer, item.byteOffset, item.length))) flow.pause()
      },
      drained: () => {
        this.#blocked = false
        this.#ended()
      },
      end: () => {
        this.#heardEnd = true
        this.push(null)
      },
      closed: (why) => this.#gone(why)
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
    // A peer that has said all, and closed, waits for no end of ours.
    if (this.#over !== undefined)
      return done(this.#over.code === "ChannelClosed" ? null : this.#over)
    this.#channel.flow.end()
    this.#ending = done
    this.#ended()
  }

  override _destroy(error: Error | null, done: Callback): void {
    const whole = error === null && this.#heardEnd && this.writableFinished
    this.#failWrites(error ?? this.#over ?? new Error("the stream was destroyed"))
    void this.#close(whole).then(
      () => done(error),
      (cause: Error) => done(error ?? cause)
    )
  }

  /** Done when the last byte is sealed: until then its memory belongs to the channel. */
  #send(chunks: ReadonlyArray<Buffer>, done: Callback): void {
    const { flow } = this.#channel
    const refusal = flow.writeError()
    if (refusal !== undefined) return done(new SealwireError(refusal))
    const said = chunks.filter(({ length }) => length > 0)
    const last = said.pop()
    if (last === undefined) return done()
    this.#writing = done
    for (const chunk of said) flow.write(chunk)
    // A view of its own: the same buffer may be among the others, and is known by its identity.
    this.#blocked = !flow.write(last.subarray(), () => this.#written())
  }

  #written(): void {
    const done = this.#writing
    this.#writing = undefined
    done?.()
  }

  #ended(): void {
    if (this.#blocked && this.#over === undefined) return
    const done = this.#ending
    this.#ending = undefined
    done?.()
  }

  #failWrites(error: Error): void {
    const waiting = [this.#writing, this.#ending]
    this.#writing = this.#ending = undefined
    for (const done of waiting) done?.(error)
  }

  /** The channel is over. What was read is whole if the peer has said so before. */
  #gone(why: ChannelError): void {
    this.#over = new SealwireError(why)
    if (!this.#heardEnd) return void this.destroy(this.#over)
    this.#failWrites(this.#over)
    // Nothing more can come of it, and who has read all may have nothing to end.
    const leave = () =>
      setImmediate(() => {
        if (!this.destroyed && !this.writableEnded) this.destroy()
      })
    if (this.readableEnded) leave()
    else this.once("end", leave)
  }
}
