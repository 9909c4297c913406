// What no later try mends by itself is said in the log once, and not with each try.
import * as Effect from "effect/Effect"
import { limits } from "./limits.ts"

export class Complaints {
  readonly #said = new Map<string, string>()

  /** Logs the text, unless it is what was said of this subject last. */
  of(subject: string, text: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#said.get(subject) === text) return Effect.void
      if (this.#said.size >= limits.complaints) this.#said.clear()
      this.#said.set(subject, text)
      return Effect.logWarning(text)
    })
  }

  /** It is well again: what is wrong the next time is said again. */
  mended(subject: string): void {
    this.#said.delete(subject)
  }
}
