// A handshake as it is written down: a sequence that asks for exact numbers of bytes, whatever pieces they come in.
import type { Flow } from "../transports/Connection.ts"

/** Yields how many bytes come next, and is given exactly those; returns what the handshake made, or why it failed. */
export type Steps<A> = Generator<number, A | string, Uint8Array>

/** How a sequence ends. */
export interface Outcome<A> {
  readonly done: (result: A | string) => void
  /** It threw: a fault of ours. */
  readonly fault: (cause: unknown) => void
}

/**
 * Runs a sequence over what comes in, without a fiber: it holds one piece, and what the sequence asked for. When the
 * sequence is done, what came after waits for the next sink.
 */
export class HandshakeDriver<A> {
  readonly #flow: Flow
  readonly #steps: Steps<A>
  readonly #outcome: Outcome<A>
  #wanted = new Uint8Array(0)
  #have = 0
  #over = false
  /** A byte has come. */
  heard = false

  constructor(flow: Flow, steps: Steps<A>, outcome: Outcome<A>) {
    this.#flow = flow
    this.#steps = steps
    this.#outcome = outcome
  }

  start(): void {
    // To its first question; what it says unasked goes out.
    this.#take(new Uint8Array(0))
    if (this.#over) return
    const lost = () => {
      if (!this.#over) this.#finish("it closed the connection", new Uint8Array(0))
    }
    this.#flow.start({
      bytes: (chunk) => {
        this.heard = true
        this.#take(chunk)
      },
      drained: () => {},
      end: lost,
      lost
    })
  }

  /** Gives the sequence what it wants as long as there is enough of it. */
  #take(chunk: Uint8Array): void {
    let rest = chunk
    for (;;) {
      const piece = rest.subarray(0, this.#wanted.length - this.#have)
      // Into its place: a peer that sends single bytes costs no more than its bytes.
      this.#wanted.set(piece, this.#have)
      this.#have += piece.length
      rest = rest.subarray(piece.length)
      if (this.#have < this.#wanted.length) return
      const next = this.#next()
      if (next === undefined) return
      if (next.done === true) return this.#finish(next.value, rest)
      this.#wanted = new Uint8Array(next.value)
      this.#have = 0
    }
  }

  #next(): IteratorResult<number, A | string> | undefined {
    try {
      return this.#steps.next(this.#wanted)
    } catch (cause) {
      this.#over = true
      this.#flow.stop(this.#wanted)
      this.#outcome.fault(cause)
      return undefined
    }
  }

  #finish(result: A | string, unread: Uint8Array): void {
    this.#over = true
    this.#flow.stop(unread)
    this.#outcome.done(result)
  }
}
