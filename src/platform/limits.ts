/** Every limit of the adapters, by name. */
export const limits = {
  /** Longest time that a write waits until its socket is open. */
  openTimeout: "30 seconds",
  /** Cluster runners whose last warning is remembered. */
  warningSubjects: 1024
} as const
