import { counter, histogram } from "../Metrics.ts"

/** The counters of the message service, by the names of its session counters. */
export const counters = {
  messages: counter("sealwire_messages_total", "Messages that were handled."),
  bytes: counter("sealwire_message_bytes_total", "Bytes of handled messages.")
} as const

/** The metrics of the message service. */
export const metrics = {
  ...counters,
  receipt: histogram(
    "sealwire_receipt_seconds",
    "Time from the arrival of messages until their receipt, for each batch."
  )
} as const
