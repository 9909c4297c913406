/** Every limit of the adapters, by name. */
export const limits = {
  /** Longest wait of a write for a run of its socket to open. */
  openTimeout: "30 seconds",
  /** Cluster runners whose last warning is remembered. */
  warningSubjects: 1024
} as const
