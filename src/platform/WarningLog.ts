// Logs a lasting condition once instead of at each retry.
import * as Effect from "effect/Effect"
import { limits } from "./limits.ts"

export class WarningLog {
  /** The last warning about each subject. */
  readonly #logged = new Map<string, string>()

  /** Logs the warning, unless it equals the last one about this subject. */
  warn(subject: string, text: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#logged.get(subject) === text) return Effect.void
      if (this.#logged.size >= limits.warningSubjects) this.#logged.clear()
      this.#logged.set(subject, text)
      return Effect.logWarning(text)
    })
  }

  /** The condition is over: the next warning is logged again. */
  clear(subject: string): void {
    this.#logged.delete(subject)
  }
}
