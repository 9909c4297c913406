// Runs a handshake that is written as a generator: it yields the number of bytes that it needs next,
// or a look-up.
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Flow } from "../transports/Connection.ts"

/** An effect that the handshake waits for: its result is there when the generator is resumed. */
export class LookUp<A> {
  readonly effect: Effect.Effect<A>
  result: A | undefined

  constructor(effect: Effect.Effect<A>) {
    this.effect = effect
  }
}

/**
 * Yields a number of bytes and is resumed with exactly those, or yields a look-up. Returns the
 * result, or the reason of the failure.
 */
export type Steps<A> = Generator<number | LookUp<unknown>, A | string, Uint8Array>

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
  /** Interrupts the look-up that the handshake waits for. */
  #cancelLookUp = () => {}
  /** The bytes that have arrived during a look-up; undefined while there is none. */
  #held: Uint8Array | undefined
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

  /** Ends the handshake without an outcome. */
  cancel(): void {
    this.#isDone = true
    this.#cancelLookUp()
  }

  /** Runs every step for which enough bytes have arrived. */
  #receive(chunk: Uint8Array): void {
    if (this.#held !== undefined) {
      this.#held = Buffer.concat([this.#held, chunk])
      return
    }
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
      if (step.value instanceof LookUp) return this.#lookUp(step.value, rest)
      this.#input = new Uint8Array(step.value)
      this.#inputLength = 0
    }
  }

  #next(): IteratorResult<number | LookUp<unknown>, A | string> | undefined {
    try {
      return this.#steps.next(this.#input)
    } catch (cause) {
      this.#die(cause)
      return undefined
    }
  }

  /** Reads no more until the look-up has its result; what was read already is held. */
  #lookUp(lookUp: LookUp<unknown>, unread: Uint8Array): void {
    this.#held = Uint8Array.from(unread)
    this.#input = new Uint8Array(0)
    this.#inputLength = 0
    this.#flow.pause()
    this.#cancelLookUp = Effect.runCallback(lookUp.effect, {
      onExit: (exit) => {
        if (this.#isDone) return
        if (Exit.isFailure(exit)) return this.#die(Cause.squash(exit.cause))
        lookUp.result = exit.value
        const held = this.#held ?? new Uint8Array(0)
        this.#held = undefined
        this.#flow.resume()
        this.#receive(held)
      }
    })
  }

  #die(cause: unknown): void {
    this.#isDone = true
    this.#flow.stop(this.#input)
    this.#outcome.defect(cause)
  }

  #finish(result: A | string, unread: Uint8Array): void {
    this.cancel()
    this.#flow.stop(unread)
    this.#outcome.done(result)
  }
}
