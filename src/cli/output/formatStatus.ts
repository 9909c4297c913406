// The text of `sealwire status`.
import * as Printable from "../../bytes/Printable.ts"
import { limits as inboxLimits } from "../../services/inbox/limits.ts"
import type { Snapshot } from "./Status.ts"
import { formatCounters, plural } from "./events/phrases.ts"

const messagesOf = ({ counted }: Snapshot): number => counted.message?.messages ?? 0

const messageRate = (now: Snapshot, before: Snapshot): number =>
  Math.max(
    0,
    Math.round(((messagesOf(now) - messagesOf(before)) * 1000) / Math.max(1, now.at - before.at))
  )

/** `2026-01-31T12:00:00Z` */
const formatTime = (millis: number): string => `${new Date(millis).toISOString().slice(0, 19)}Z`

const formatInbox = (inbox: NonNullable<Snapshot["inbox"]>): string => {
  if ("fault" in inbox) return `inbox: unavailable: ${Printable.line(inbox.fault)}`
  const orMore = inbox.messages === inboxLimits.countedMessages ? " or more" : ""
  const oldest = inbox.oldest === undefined ? "" : `, oldest from ${formatTime(inbox.oldest)}`
  const dead = inbox.dead === 0 ? "" : `; ${plural(inbox.dead, "dead letter")}`
  return `inbox: ${plural(inbox.messages, "message")}${orMore}${oldest}${dead}`
}

const columns = ["PEER", "ADDRESS", "SUITE", "SERVICE", "SINCE", "TRAFFIC"] as const

const formatTable = (sessions: Snapshot["sessions"]): ReadonlyArray<string> => {
  if (sessions.length === 0) return []
  const rows: ReadonlyArray<ReadonlyArray<string>> = [
    columns,
    ...sessions.map(({ peer, from, suite, service, since, counted }) => [
      Printable.line(peer),
      from,
      suite,
      service,
      formatTime(since),
      formatCounters(counted) || "-"
    ])
  ]
  const widths = columns.map((_, column) =>
    rows.reduce((widest, row) => Math.max(widest, row[column]?.length ?? 0), 0)
  )
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd()
  )
}

/** Formats the status of a running server; with an earlier snapshot, the rate of messages since. */
export const formatStatus = (now: Snapshot, before: Snapshot | undefined): string => {
  const { address, pid, since, halfOpen, sessions, total, counted, inbox, notReady } = now
  const rate = before === undefined ? "" : `, ${messageRate(now, before).toLocaleString("en-US")}/s`
  const messageBytes = plural(counted.message?.bytes ?? 0, "byte")
  return [
    `listening on ${address}, process ${pid}, since ${formatTime(since)}`,
    ...notReady.map(({ text }) => `not ready: ${text}`),
    `messages: ${messagesOf(now).toLocaleString("en-US")} (${messageBytes}${rate})`,
    ...Object.entries(counted).flatMap(([service, counters]) =>
      service === "message" ? [] : [`${service}: ${formatCounters(counters)}`]
    ),
    `sessions: ${sessions.length.toLocaleString("en-US")} open, ` +
      `${total.sessions.toLocaleString("en-US")} in total (${total.failed.toLocaleString("en-US")} failed)`,
    `connections: ${halfOpen.toLocaleString("en-US")} in the handshake, ` +
      `${total.refused.toLocaleString("en-US")} refused`,
    ...(inbox === undefined ? [] : [formatInbox(inbox)]),
    ...formatTable(sessions)
  ].join("\n")
}
