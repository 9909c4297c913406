import { gauge } from "../Metrics.ts"

/** The metrics of an inbox that stores messages. */
export const metrics = {
  readable: gauge("sealwire_inbox_readable", "1 if the inbox can be read, 0 otherwise."),
  messages: gauge(
    "sealwire_inbox_messages",
    "Pending messages in the inbox: neither acknowledged nor dead letters."
  ),
  oldest: gauge("sealwire_inbox_oldest_seconds", "Age of the oldest of these messages."),
  dead: gauge("sealwire_inbox_dead_letters", "Messages in the inbox whose attempts all failed.")
} as const
