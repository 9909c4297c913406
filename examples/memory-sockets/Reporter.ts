// The program under test: it reports a line, and connects again until the server has handled it.
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { MessageClient, type DialOptions } from "sealwire"

/** Pauses of 1, 2, 4, 8 and 16 seconds; then it gives up with the last error. A wrong key is no reason to try again. */
const backoff = Schedule.exponential("1 second").pipe(Schedule.intersect(Schedule.recurs(5)))

/** Done when the server has handled it, at least once. */
export const report = (options: DialOptions<never, never>, line: string) =>
  Effect.scoped(
    Effect.flatMap(MessageClient.connect(options), (client) => client.send([Buffer.from(line)]))
  ).pipe(
    Effect.timeout("30 seconds"),
    Effect.retry({
      schedule: backoff,
      while: ({ _tag }) => _tag !== "HandshakeFailed" && _tag !== "NotTaken"
    })
  )
