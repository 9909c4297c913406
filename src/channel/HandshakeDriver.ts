// Runs a handshake that is written as a generator: it yields the number of bytes that it needs
// next.
import type { Flow } from "../transports/Connection.ts"

/**
 * Yields a number of bytes and is resumed with exactly those. Returns the result, or the reason of
 * the failure.
 */
export type Steps<A> = Generator<number, A | string, Uint8Array>

/** Receives the outcome of a handshake. */
export interface Outcome<A> {
  readonly done: (result: A | string) => void
  /** The generator threw: a bug of this program. */
  readonly defect: (cause: unknown) => void
}

/** The reason of a handshake that the peer ended by closing or resetting the connection. */
export const closedByPeer = "it closed the connection"

/**
 * Runs the steps on a flow, without a fiber. It holds only the bytes that the current step asked
 * for. Bytes after the last step stay in the flow for the next listener.
 */
export class HandshakeDriver<A> {
  readonly #flow: Flow
  readonly #steps: Steps<A>
  readonly #outcome: Outcome<A>
  /** The bytes that the current step asked for, and how many of them have arrived. */
  #input = new Uint8Array(0)
  #inputLength = 0
  #isDone = false
  /** True once a byte has arrived. */
  hasReceived = false

  constructor(flow: Flow, steps: Steps<A>, outcome: Outcome<A>) {
    this.#flow = flow
    this.#steps = steps
    this.#outcome = outcome
  }

  start(): void {
    // Runs to the first yield; a client sends its first message on the way.
    this.#receive(new Uint8Array(0))
    if (this.#isDone) return
    const lost = () => {
      if (!this.#isDone) this.#finish(closedByPeer, new Uint8Array(0))
    }
    this.#flow.start({
      bytes: (chunk) => {
        this.hasReceived = true
        this.#receive(chunk)
      },
      drained: () => {},
      end: lost,
      lost
    })
  }

  /** Runs every step for which enough bytes have arrived. */
  #receive(chunk: Uint8Array): void {
    let rest = chunk
    for (;;) {
      const part = rest.subarray(0, this.#input.length - this.#inputLength)
      // Copied into place: a peer that sends single bytes costs no more memory than its bytes.
      this.#input.set(part, this.#inputLength)
      this.#inputLength += part.length
      rest = rest.subarray(part.length)
      if (this.#inputLength < this.#input.length) return
      const step = this.#next()
      if (step === undefined) return
      if (step.done === true) return this.#finish(step.value, rest)
      this.#input = new Uint8Array(step.value)
      this.#inputLength = 0
    }
  }

  #next(): IteratorResult<number, A | string> | undefined {
    try {
      return this.#steps.next(this.#input)
    } catch (cause) {
      this.#isDone = true
      this.#flow.stop(this.#input)
      this.#outcome.defect(cause)
      return undefined
    }
  }

  #finish(result: A | string, unread: Uint8Array): void {
    this.#isDone = true
    this.#flow.stop(unread)
    this.#outcome.done(result)
  }
}
