// Runs push and pull: sessions with the server until the transfer is complete, and their report.
import * as Effect from "effect/Effect"
import type * as Duration from "effect/Duration"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Channel } from "../../channel/Channel.ts"
import type { Padding } from "../../channel/Padding.ts"
import * as Dial from "../../services/Dial.ts"
import { opening } from "../../services/Service.ts"
import type { CommonOptions } from "../../services/transfer/TransferSession.ts"
import { retryTransfer } from "../../services/transfer/retryTransfer.ts"
import type { LeftOut, Policy } from "../../services/transfer/Messages.ts"
import { name as fileService } from "../../services/transfer/rules.ts"
import * as Address from "../../transports/Address.ts"
import { retryPolicy } from "../arguments/options.ts"
import * as ServerFlags from "./ServerFlags.ts"
import { Report } from "../output/Report.ts"
import { TransferReport } from "../output/TransferReport.ts"
import * as transfer from "../arguments/transferOptions.ts"
import { Event } from "../output/events/index.ts"

interface TransferFlags extends ServerFlags.Flags {
  readonly dryRun: boolean
  readonly limit: Option.Option<number>
  readonly retry: Option.Option<Duration.Duration>
  readonly padding: Padding
  readonly json: boolean
}

/** A transfer to run. */
interface Transfer<E> {
  readonly verb: "pushed" | "pulled"
  /** Top-level names that a pull requests, "" for everything. */
  readonly requested?: ReadonlyArray<string>
  readonly policy: Policy
  /** Files that a push does not send. */
  readonly leftOut?: ReadonlyArray<LeftOut>
  /** Runs one session. */
  readonly session: (channel: Channel, common: CommonOptions) => Effect.Effect<void, E, Scope.Scope>
}

/** Completes when every file is durable at the receiver. */
export const runTransfer = <E extends { readonly _tag: string; readonly message: string }>(
  { dryRun: dry, limit, retry, padding, json, ...serverFlags }: TransferFlags,
  { verb, requested = [], policy, leftOut = [], session }: Transfer<E>
) =>
  Effect.gen(function* () {
    const report = yield* Report
    const emit = (event: Event) => report.emit(event, { json, wire: false, exact: false })
    const server = yield* ServerFlags.prepare(serverFlags, emit)
    const address = Address.format(serverFlags.to)
    const transferReport = new TransferReport(emit, {
      dry,
      json,
      skips: policy === "skip",
      requested
    })
    yield* Effect.forEach(leftOut, (omission) => transferReport.leftOut(omission), {
      discard: true
    })
    const common = { dry, progress: transferReport.observer, pace: transfer.rateLimiter(limit) }
    const attempt = ServerFlags.connect(
      server,
      (options) => Dial.dial({ ...options, padding }, opening(fileService)),
      (channel) =>
        Effect.sync(() => transferReport.startSession()).pipe(
          Effect.zipRight(Effect.scoped(session(channel, common))),
          Effect.zipRight(transferReport.failIfBusy)
        )
    )
    yield* retryTransfer(attempt, retryPolicy(retry), transferReport, ({ message }, millis) =>
      emit(Event.RetryScheduled({ address, reason: message, millis }))
    ).pipe(json || dry ? (effect) => effect : report.withProgress(transferReport.progressLine))
    yield* transferReport.conclude(verb, address)
  })
