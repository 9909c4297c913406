/** A connection that AdmissionControl keeps count of. */
export interface AdmittedConnection {
  /**
   * The group of addresses that the peer belongs to, from `sourceOf`; undefined where addresses do
   * not tell peers apart, so that no limit per source holds.
   */
  readonly source: string | undefined
  /**
   * The peer has sent a valid first message: in the channel a handshake message, in the classic
   * system a byte.
   */
  responsive: boolean
}

/** The largest number of connections of each kind. */
export interface AdmissionLimits {
  /** All connections. */
  readonly connections: number
  /** Connections that are not authenticated. */
  readonly halfOpen: number
  /** Connections that are not authenticated, from one source. */
  readonly halfOpenPerSource: number
}

/**
 * Decides which connections a listener keeps when it is full (PROTOCOL.md section 4). An
 * authenticated connection is never evicted. Pure bookkeeping: the caller closes what is evicted.
 */
export class AdmissionControl<C extends AdmittedConnection> {
  readonly #limits: AdmissionLimits
  /** In order of arrival. */
  readonly #halfOpen = new Set<C>()
  readonly #halfOpenBySource = new Map<string, Set<C>>()
  readonly #authenticated = new Set<C>()

  constructor(limits: AdmissionLimits) {
    this.#limits = limits
  }

  /** The number of connections that are not authenticated. */
  get halfOpenCount(): number {
    return this.#halfOpen.size
  }

  /** The number of all connections. */
  get size(): number {
    return this.#halfOpen.size + this.#authenticated.size
  }

  /** All connections. */
  get admitted(): ReadonlyArray<C> {
    return [...this.#authenticated, ...this.#halfOpen]
  }

  /**
   * Admits a new connection. Returns the connection to evict for it, if any; this is the new
   * connection itself when all others are authenticated.
   */
  admit(connection: C): C | undefined {
    const { connections, halfOpen, halfOpenPerSource } = this.#limits
    const { source } = connection
    const sameSource = source === undefined ? undefined : this.#halfOpenBySource.get(source)
    let evicted: C | undefined
    if (sameSource !== undefined && sameSource.size >= halfOpenPerSource)
      evicted = firstToEvict(sameSource)
    else if (this.#halfOpen.size >= halfOpen || this.size >= connections)
      evicted = firstToEvict(this.#halfOpen) ?? connection
    if (evicted === connection) return connection
    if (evicted !== undefined) this.remove(evicted)
    this.#halfOpen.add(connection)
    if (source !== undefined)
      this.#halfOpenBySource.set(
        source,
        (this.#halfOpenBySource.get(source) ?? new Set()).add(connection)
      )
    return evicted
  }

  /** Marks the peer as authenticated, so that no new connection evicts it. */
  markAuthenticated(connection: C): void {
    if (!this.#halfOpen.has(connection)) return
    this.remove(connection)
    this.#authenticated.add(connection)
  }

  /** Forgets a connection that has ended. */
  remove(connection: C): void {
    this.#authenticated.delete(connection)
    this.#halfOpen.delete(connection)
    const { source } = connection
    if (source === undefined) return
    const group = this.#halfOpenBySource.get(source)
    group?.delete(connection)
    if (group?.size === 0) this.#halfOpenBySource.delete(source)
  }
}

/** Returns the oldest connection that is not responsive, otherwise the oldest. */
const firstToEvict = <C extends AdmittedConnection>(connections: ReadonlySet<C>): C | undefined => {
  let oldest: C | undefined
  for (const connection of connections) {
    if (!connection.responsive) return connection
    oldest ??= connection
  }
  return oldest
}

/**
 * Returns the source that the limit of unauthenticated connections holds for; undefined for an
 * address without a port, such as that of a Unix socket: all clients have it, and one of them must
 * not evict the others.
 */
export const limitedSourceOf = (peer: string): string | undefined =>
  peer.startsWith("unix:") || !/:\d+$/.test(peer) ? undefined : sourceOf(peer)

/**
 * Returns the source of an address: the IPv4 address, or the IPv6 /64. All peers of a Unix socket
 * are one source.
 */
export const sourceOf = (peer: string): string => {
  const v6 = /^\[([^%\]]+)/.exec(peer)?.[1]
  if (v6 === undefined) return peer.replace(/:\d+$/, "")
  const [head = "", tail] = v6.split("::")
  const groups = head.split(":").filter((group) => group !== "")
  const tailLength = tail?.split(":").filter((group) => group !== "").length ?? 0
  const zeros =
    tail === undefined ? [] : Array.from({ length: 8 - groups.length - tailLength }, () => "0")
  return [...groups, ...zeros, ...(tail?.split(":") ?? [])]
    .slice(0, 4)
    .map((group) => Number.parseInt(group || "0", 16).toString(16))
    .join(":")
}
