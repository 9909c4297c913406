// The parts that `serve` and `tunnel` depend on, as /ready checks them.
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { InboxMessages, type Inbox } from "../../services/inbox/Inbox.ts"
import { Readiness as ReadinessOf, type Part as PartOf } from "../../services/Readiness.ts"
import { checkFolder } from "../../services/transfer/checkFolder.ts"
import type { ChannelPool } from "../../services/tunnel/ChannelPool.ts"
import { exitCode, exitCodeOf } from "../output/ExitCode.ts"

/** The values of the label `reason` of `sealwire_up`, beside "starting" and "stopping". */
export type Reason = "inbox" | "files" | keyof typeof exitCode

/** Every value of that label. */
export const readyReasons: ReadonlyArray<string> = [
  "ready",
  "starting",
  "stopping",
  "inbox",
  "files",
  ...Object.keys(exitCode)
]

export type Readiness = ReadinessOf<Reason>
export type Part = PartOf<Reason>

/** Returns what to check before the server is ready; it is ready when the listeners have started. */
export const readiness = (listeners: number): Readiness => new ReadinessOf(listeners)

/** An inbox that stores messages can store one more. */
export const inbox = (built: Context.Context<Inbox>): ReadonlyArray<Part> =>
  Option.match(Context.getOption(built as Context.Context<Inbox | InboxMessages>, InboxMessages), {
    onNone: () => [],
    onSome: ({ check }) => [
      {
        name: "inbox",
        whenSilent: "inbox",
        check: Effect.mapError(check, ({ reason: text }) => ({ reason: "inbox", text }) as const)
      }
    ]
  })

/** The folder of transferred files is there, and this process may write it. */
export const files = (folder: string): Part => ({
  name: "files",
  whenSilent: "files",
  check: Effect.mapError(
    checkFolder(folder),
    ({ message: text }) => ({ reason: "files", text }) as const
  )
})

/** The server is reachable and accepts the key, and a channel for the target is or can be opened. */
export const tunnel = <E extends { readonly _tag: string; readonly message: string }>(
  target: string,
  pool: Pick<ChannelPool<E>, "check">
): Part => ({
  name: target === "" ? "tunnel" : `tunnel ${target}`,
  whenSilent: "network",
  check: Effect.mapError(pool.check, (error) => ({
    reason: reasonOf(error),
    text: error.message
  }))
})

/** An error counts as its exit code does. One without a code says that no channel came in time. */
const reasonOf = (error: unknown): keyof typeof exitCode => {
  const code = exitCodeOf(error) ?? exitCode.network
  const names = Object.keys(exitCode) as ReadonlyArray<keyof typeof exitCode>
  return names.find((name) => exitCode[name] === code) ?? "network"
}
