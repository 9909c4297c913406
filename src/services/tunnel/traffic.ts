import { sessionCounter } from "../Metrics.ts"
import type { Counters } from "../Service.ts"
import { metrics } from "./metrics.ts"

const zero: Readonly<Record<keyof typeof metrics, number>> = {
  connections: 0,
  bytesIn: 0,
  bytesOut: 0
}

/** Counts a connection and its bytes: in the metrics of `target`, and in `counted` for the log. */
export const trafficCounter = (counted: Counters, target = "") => {
  const count = sessionCounter(metrics, counted, target)
  Object.assign(counted, zero)
  count("connections", 1)
  return {
    /** Counts bytes from the client. */
    toTarget: (bytes: number) => count("bytesIn", bytes),
    /** Counts bytes to the client. */
    fromTarget: (bytes: number) => count("bytesOut", bytes)
  }
}
