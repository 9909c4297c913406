import { counter } from "../Metrics.ts"

/** The metrics of the file service, by the names of its session counters. */
export const metrics = {
  files: counter("sealwire_files_stored_total", "Files that were received and are durable."),
  bytes: counter("sealwire_file_bytes_received_total", "Bytes of files that were received."),
  filesSent: counter("sealwire_files_sent_total", "Files that were sent."),
  bytesSent: counter("sealwire_file_bytes_sent_total", "Bytes of files that were sent.")
} as const
