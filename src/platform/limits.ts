/** Every bound of the adapters, by name. */
export const limits = {
  /** How long a write waits for a run of its socket that has not opened yet. */
  openPatience: "30 seconds"
} as const
