/** Who is inside, and who goes when it is full: DESIGN section 4.6. A plain data structure; it closes nothing itself. */
export interface AdmittedConnection {
  /** The address it came from, as `sourceOf` groups them. */
  readonly source: string
  /** It has shown something: in the channel a whole message that opened, in the classic system a first byte. */
  responsive: boolean
}

export interface AdmissionLimits {
  /** Guests in all. */
  readonly connections: number
  /** Guests that are not established. */
  readonly halfOpen: number
  /** Guests that are not established, from one source. */
  readonly halfOpenPerSource: number
}

export class AdmissionControl<G extends AdmittedConnection> {
  readonly #limits: AdmissionLimits
  /** In the order of their coming. */
  readonly #halfOpen = new Set<G>()
  readonly #bySource = new Map<string, Set<G>>()
  readonly #established = new Set<G>()

  constructor(limits: AdmissionLimits) {
    this.#limits = limits
  }

  /** How many are not established. */
  get halfOpenCount(): number {
    return this.#halfOpen.size
  }

  get size(): number {
    return this.#halfOpen.size + this.#established.size
  }

  /** Everybody inside. */
  get admitted(): ReadonlyArray<G> {
    return [...this.#established, ...this.#halfOpen]
  }

  /** Takes the newcomer in. Who must go for it; or the newcomer itself, when all others are established. */
  admit(newcomer: G): G | undefined {
    const { connections, halfOpen, halfOpenPerSource } = this.#limits
    const kin = this.#bySource.get(newcomer.source)
    let evicted: G | undefined
    if (kin !== undefined && kin.size >= halfOpenPerSource) evicted = oldest(kin)
    else if (this.#halfOpen.size >= halfOpen || this.size >= connections)
      evicted = oldest(this.#halfOpen) ?? newcomer
    if (evicted === newcomer) return newcomer
    if (evicted !== undefined) this.remove(evicted)
    this.#halfOpen.add(newcomer)
    const family = this.#bySource.get(newcomer.source) ?? new Set()
    this.#bySource.set(newcomer.source, family.add(newcomer))
    return evicted
  }

  /** It has shown who it is: no newcomer drives it out any more. */
  markAuthenticated(guest: G): void {
    if (!this.#halfOpen.has(guest)) return
    this.remove(guest)
    this.#established.add(guest)
  }

  remove(guest: G): void {
    this.#established.delete(guest)
    this.#halfOpen.delete(guest)
    const family = this.#bySource.get(guest.source)
    family?.delete(guest)
    if (family?.size === 0) this.#bySource.delete(guest.source)
  }
}

/** The oldest that has shown nothing, else the oldest. */
const oldest = <G extends AdmittedConnection>(guests: ReadonlySet<G>): G | undefined => {
  let first: G | undefined
  for (const guest of guests) {
    if (!guest.responsive) return guest
    first ??= guest
  }
  return first
}

/** An address as one source: a v4 address, a v6 network of 64 bits; everybody on a Unix socket is one. */
export const sourceOf = (peer: string): string => {
  const v6 = /^\[([^%\]]+)/.exec(peer)?.[1]
  if (v6 === undefined) return peer.replace(/:\d+$/, "")
  const [head = "", tail] = v6.split("::")
  const groups = head.split(":").filter((group) => group !== "")
  const behind = tail?.split(":").filter((group) => group !== "").length ?? 0
  const zeros =
    tail === undefined ? [] : Array.from({ length: 8 - groups.length - behind }, () => "0")
  return [...groups, ...zeros, ...(tail?.split(":") ?? [])]
    .slice(0, 4)
    .map((group) => Number.parseInt(group || "0", 16).toString(16))
    .join(":")
}
