/**
 * Faults that `--plant` adds, each of which the run has to find:
 *
 * - `lost`: the consumer throws an acknowledged message away.
 * - `duplicate`: the consumer gets a message twice.
 * - `damaged`: a byte of a stored file changes.
 * - `partial`: a partial file stays behind.
 * - `echo`: the target of the tunnel changes a byte.
 * - `descriptors`: the steady server opens files and does not close them.
 * - `memory`: the steady server keeps memory that it does not need.
 * - `idle`: nobody sends files, so that their checks prove nothing.
 */
export const faults = [
  "lost",
  "duplicate",
  "damaged",
  "partial",
  "echo",
  "descriptors",
  "memory",
  "idle"
] as const

export type Fault = (typeof faults)[number]
