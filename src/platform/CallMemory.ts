// The memory of a session of rpcs, which counts against its peer: the message that is arriving, and
// the calls whose handlers run.
import type { SessionMemory } from "../services/PeerBudgets.ts"
import { limits } from "./limits.ts"

type Memory = Pick<SessionMemory, "reserve" | "release">

export class CallMemory {
  readonly #memory: Memory
  /** Bytes that arrived after the last complete message. */
  #unfinished = 0
  /** Memory of each call in progress, by the id of its request. */
  readonly #calls = new Map<string, number>()

  constructor(memory: Memory) {
    this.#memory = memory
  }

  /**
   * Counts bytes that arrived, and whether they completed messages. Returns the bytes of these
   * messages, 0 for none; undefined if one is too long, or the peer holds too much.
   */
  receive(bytes: number, isComplete: boolean): number | undefined {
    const total = this.#unfinished + bytes
    if (isComplete) {
      this.#memory.release(this.#unfinished)
      this.#unfinished = 0
      return total
    }
    if (total > limits.rpcMessageBytes || !this.#memory.reserve(bytes)) return undefined
    this.#unfinished = total
    return 0
  }

  /** Counts a call; false if the peer has too many in progress, or repeats the id of one. */
  begin(id: string, bytes: number): boolean {
    const memory = limits.callBytes + bytes
    if (this.#calls.has(id) || !this.#memory.reserve(memory)) return false
    this.#calls.set(id, memory)
    return true
  }

  /** A call has ended. */
  end(id: string): void {
    this.#memory.release(this.#calls.get(id) ?? 0)
    this.#calls.delete(id)
  }
}
