// What `status` shows a person.
import * as Printable from "../../bytes/Printable.ts"
import { limits } from "../../services/inbox/limits.ts"
import type { Snapshot } from "./Status.ts"
import { formatCounters, plural } from "./events/phrases.ts"

const messagesOf = ({ counted }: Snapshot): number => counted.message?.messages ?? 0

const perSecond = (now: Snapshot, before: Snapshot): number =>
  Math.max(
    0,
    Math.round(((messagesOf(now) - messagesOf(before)) * 1000) / Math.max(1, now.at - before.at))
  )

const inboxOf = (inbox: NonNullable<Snapshot["inbox"]>): string => {
  if ("fault" in inbox) return `what is in the inbox is not known: ${Printable.line(inbox.fault)}`
  const messages = `${plural(inbox.messages, "message")}${inbox.messages === limits.counted ? " or more" : ""} in the inbox`
  return inbox.oldest === undefined
    ? messages
    : `${messages}, the oldest since ${new Date(inbox.oldest).toISOString().slice(0, 19)}Z`
}

/** A server that runs, for a person. With what was before, the rate in between. */
export const formatStatus = (now: Snapshot, before: Snapshot | undefined): string => {
  const { address, pid, since, halfOpen, sessions, total, counted, inbox } = now
  const rate =
    before === undefined ? "" : `, ${perSecond(now, before).toLocaleString("en-US")} a second`
  const rows = sessions.map(({ peer, from, suite, service, ...session }) => [
    Printable.line(peer),
    from,
    suite,
    service,
    `in since ${new Date(session.since).toISOString().slice(0, 19)}Z`,
    formatCounters(session.counted)
  ])
  const widths = [0, 1, 2, 3, 4].map((column) =>
    Math.max(0, ...rows.map((row) => row[column]?.length ?? 0))
  )
  return [
    `${address}, process ${pid}, since ${new Date(since).toISOString().slice(0, 19)}Z`,
    `${plural(messagesOf(now), "message")} handled (${plural(counted.message?.bytes ?? 0, "byte")})${rate}; ${plural(total.sessions, "session")} in all, ` +
      `${total.failed.toLocaleString("en-US")} failed; ${plural(total.refused, "stranger")} refused`,
    ...Object.entries(counted).flatMap(([service, done]) =>
      service === "message" ? [] : [`${service}: ${formatCounters(done)}`]
    ),
    `${plural(sessions.length, "session")} now, ${halfOpen.toLocaleString("en-US")} half open`,
    ...(inbox === undefined ? [] : [inboxOf(inbox)]),
    ...rows.map(
      (row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")}`
    )
  ].join("\n")
}
