// The program under test: it sends a line, and reconnects until the server has handled it.
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { MessageClient, type DialOptions } from "sealwire"

/** Pauses of 1, 2, 4, 8 and 16 seconds; then the last error. */
const backoff = Schedule.exponential("1 second").pipe(Schedule.intersect(Schedule.recurs(5)))

/** Succeeds when the server has handled the line at least once. A wrong key is not retried. */
export const report = (options: DialOptions<never, never>, line: string) =>
  Effect.scoped(
    Effect.flatMap(MessageClient.connect(options), (client) => client.send([Buffer.from(line)]))
  ).pipe(
    Effect.timeout("30 seconds"),
    Effect.retry({
      schedule: backoff,
      while: (error) =>
        error._tag === "HandshakeFailed" ? error.transient : error._tag !== "NotTaken"
    })
  )
