import { gauge } from "../Metrics.ts"

/** The metrics of an inbox that stores messages. */
export const metrics = {
  readable: gauge("sealwire_inbox_readable", "1 if the inbox can be read, 0 otherwise."),
  messages: gauge("sealwire_inbox_messages", "Messages in the inbox that are not acknowledged."),
  oldest: gauge("sealwire_inbox_oldest_seconds", "Age of the oldest of these messages.")
} as const
