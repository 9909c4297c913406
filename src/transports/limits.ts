import { readFileSync } from "node:fs"

/** Every bound of this room, by name. */
export const limits = {
  /** Bytes read ahead of the reader, per connection. */
  readAheadBytes: 256 * 1024,
  /** And pieces: each costs a hundred bytes beyond its own, and a peer may send single bytes. */
  readAheadChunks: 1024,
  /** Bytes written that the kernel has not taken, per connection, at which a writer is told to wait: Node's own 16 KiB stop it at each full write. */
  writeBufferBytes: 128 * 1024,
  /** How long a connection attempt may take, all addresses of a name together. */
  connectDeadline: "10 seconds",
  /** How long one address of several may take before the next is tried (RFC 8305 section 5). */
  connectAttemptMillis: 250,
  /** Silence after which the kernel asks whether the other side is still there: its own two hours are for nobody. */
  keepAliveDelayMillis: 60_000,
  /** How long closing waits for a peer that does not take what was written. */
  closeDeadline: "5 seconds",
  /** How long a listener that closes waits for the connections it has. */
  drainDeadline: "10 seconds",
  /** How long the owner of a Unix socket file may take to answer before the file is left alone. */
  staleProbeMillis: 1000,
  /** The kernel's queue of connections nobody has accepted yet. */
  backlog: 1024,
  /** Connections at once, unless the file-descriptor limit or the program says less. */
  connections: 10_000,
  /** File descriptors kept free for files, names and the program's own connections. */
  reservedDescriptors: 64
} as const

/** How many connections fit below the file-descriptor limit of this process. */
export const connectionsBelowDescriptorLimit = (): number =>
  Math.max(1, Math.min(limits.connections, descriptorLimit() - limits.reservedDescriptors))

const descriptorLimit = (): number => {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1]
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft)
  } catch {
    // Not Linux: macOS starts processes with 256.
    return 256
  }
}
