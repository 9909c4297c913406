import { connectionLaws } from "./connectionLaws.ts"
import { listenerLaws } from "./listenerLaws.ts"
import { flowLaws } from "./flowLaws.ts"
import type { Runner } from "./Runner.ts"
import type { TransportSubject } from "./TransportSubject.ts"

/**
 * Defines the laws that every `Transport` must satisfy, as tests of the runner: those of its
 * connections, their flows, and its listeners.
 *
 * @example
 * import * as vitest from "@effect/vitest"
 * transportLaws(vitest, {
 *   layer: MyTransport.layer,
 *   freeAddress: Effect.succeed(Address.tcp("127.0.0.1", 0)),
 *   ...
 * })
 */
export const transportLaws = (vitest: Runner, subject: TransportSubject): void => {
  vitest.describe("a connection", () => connectionLaws(vitest, subject))
  vitest.describe("its flow", () => flowLaws(vitest, subject))
  listenerLaws(vitest, subject)
}
