/** Every limit of the adapters, by name. */
export const limits = {
  /** Longest time that a write waits until its socket is open. */
  openTimeout: "30 seconds",
  /** Longest message of an rpc client, in bytes. */
  rpcMessageBytes: 16 * 1024 * 1024,
  /** Memory of a call in progress besides its message, in bytes, which counts against its peer. */
  callBytes: 4096,
  /** Cluster runners whose last warning is remembered. */
  warningSubjects: 1024
} as const
