import { connectionLaws } from "./connectionLaws.ts"
import { listenerLaws } from "./listenerLaws.ts"
import { flowLaws } from "./flowLaws.ts"
import type { Runner } from "./Runner.ts"
import type { TransportSubject } from "./TransportSubject.ts"

/**
 * The laws of a connection, of its flow and of a listener, as tests of the runner that is given: for every `Transport`.
 *
 * @example
 * import * as vitest from "@effect/vitest"
 * transportLaws(vitest, { layer: myTransport, somewhere: Effect.succeed(Address.tcp("127.0.0.1", 0)), ... })
 */
export const transportLaws = (vitest: Runner, subject: TransportSubject): void => {
  vitest.describe("a connection", () => connectionLaws(vitest, subject))
  vitest.describe("its flow", () => flowLaws(vitest, subject))
  listenerLaws(vitest, subject)
}
