// What push and pull have in common: sessions with the server until all is there, shown as they go on, and what is said at the end.
import * as Effect from "effect/Effect"
import type * as Duration from "effect/Duration"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Channel } from "../../channel/Channel.ts"
import type { Padding } from "../../channel/Padding.ts"
import * as Dial from "../../services/Dial.ts"
import { opening } from "../../services/Service.ts"
import { retryTransfer } from "../../services/transfer/retryTransfer.ts"
import type { TransferProgress } from "../../services/transfer/TransferProgress.ts"
import type { LeftOut } from "../../services/transfer/Messages.ts"
import * as Address from "../../transports/Address.ts"
import { retryPolicy } from "../arguments/options.ts"
import * as ServerConnection from "./ServerConnection.ts"
import { Report } from "../output/Report.ts"
import { TransferReport } from "../output/TransferReport.ts"
import * as transfer from "../arguments/transferOptions.ts"
import { Event } from "../output/events/index.ts"

interface Given extends ServerConnection.Flags {
  readonly dryRun: boolean
  readonly limit: Option.Option<number>
  readonly retry: Option.Option<Duration.Duration>
  readonly padding: Padding
  readonly json: boolean
}

/** What is to travel, and what a session has to know. */
interface Work<E> {
  readonly verb: "pushed" | "pulled"
  /** Of a pull: the names that are to come, "" for everything. */
  readonly asked?: ReadonlyArray<string>
  /** Of a push: what is not sent. */
  readonly leftOut?: ReadonlyArray<LeftOut>
  readonly session: (channel: Channel, common: Common) => Effect.Effect<void, E, Scope.Scope>
}

interface Common {
  readonly dry: boolean
  readonly progress: TransferProgress
  readonly pace: (bytes: number) => Effect.Effect<void>
}

/** Done when everything is on the other disk, or here. */
export const runTransfer = <E extends { readonly _tag: string; readonly message: string }>(
  { dryRun: dry, limit, retry, padding, json, ...given }: Given,
  { verb, asked = [], leftOut = [], session }: Work<E>
) =>
  Effect.gen(function* () {
    const report = yield* Report
    const tell = (event: Event) => report.emit(event, { json, wire: false, exact: false })
    const server = yield* ServerConnection.prepare(given, tell)
    const address = Address.format(given.to)
    const shown = new TransferReport(tell, { dry, json, asked })
    yield* Effect.forEach(leftOut, (one) => shown.leftOut(one), { discard: true })
    const common = { dry, progress: shown.observer, pace: transfer.rateLimiter(limit) }
    const once = ServerConnection.connect(
      server,
      (options) => Dial.dial({ ...options, padding }, opening("file")),
      (channel) => Effect.zipRight(Effect.scoped(session(channel, common)), shown.notBusy)
    )
    yield* retryTransfer(once, retryPolicy(retry), shown, ({ message }, millis) =>
      tell(Event.RetryScheduled({ address, reason: message, millis }))
    ).pipe(json || dry ? (effect) => effect : report.withProgress(shown.progressLine))
    yield* shown.conclude(verb, address)
  })
