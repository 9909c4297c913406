/** Every bound of the adapters, by name. */
export const limits = {
  /** How long a write waits for a run of its socket that has not opened yet. */
  openPatience: "30 seconds",
  /** Of how many runners of a cluster it is remembered what was said of them in the log. */
  complaints: 1024
} as const
