import { counter } from "../Metrics.ts"

/** The metrics of the message service, by the names of its session counters. */
export const metrics = {
  messages: counter("sealwire_messages_total", "Messages that were handled."),
  bytes: counter("sealwire_message_bytes_total", "Bytes of handled messages.")
} as const
