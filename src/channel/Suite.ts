import { fromPattern, type Protocol } from "../noise/Protocol.ts"

/**
 * A Noise handshake pattern, and the keys that the two sides need for it. PROTOCOL.md section 2.
 */
export interface Suite {
  /** Byte 5 of the hello. */
  readonly id: number
  /** The Noise pattern with its modifiers. */
  readonly name: string
  readonly protocol: Protocol
  /** The exact length of each handshake message, in bytes; payloads are empty. */
  readonly lengths: readonly [first: number, second: number, ...third: ReadonlyArray<number>]
  /** True when each side has a long-term key pair and knows or learns the other's public key. */
  readonly hasIdentities: boolean
  /** True when both sides have a shared key. */
  readonly hasSharedKey: boolean
  /**
   * True when the shared key already encrypts message 1, before the client has identified itself.
   */
  readonly sharedKeyFirst: boolean
  /** True when the client has the server's public key before it connects. */
  readonly hasServerKey: boolean
  /** True when the shared key is a one-time code: only a server that pairs accepts the suite. */
  readonly forPairing: boolean
}

const suite = <const Row extends Omit<Suite, "protocol">>(row: Row) => ({
  ...row,
  protocol: fromPattern(row.name)
})

/** Every suite that a hello may name. The client selects one; nothing is negotiated. */
export const allSuites = [
  suite({
    id: 1,
    name: "NNpsk0",
    lengths: [48, 48],
    hasIdentities: false,
    hasSharedKey: true,
    sharedKeyFirst: true,
    hasServerKey: false,
    forPairing: false
  }),
  suite({
    id: 2,
    name: "IK",
    lengths: [96, 48],
    hasIdentities: true,
    hasSharedKey: false,
    sharedKeyFirst: false,
    hasServerKey: true,
    forPairing: false
  }),
  suite({
    id: 3,
    name: "XX",
    lengths: [32, 96, 64],
    hasIdentities: true,
    hasSharedKey: false,
    sharedKeyFirst: false,
    hasServerKey: false,
    forPairing: false
  }),
  suite({
    id: 4,
    name: "IKpsk2",
    lengths: [96, 48],
    hasIdentities: true,
    hasSharedKey: true,
    sharedKeyFirst: false,
    hasServerKey: true,
    forPairing: false
  }),
  suite({
    id: 5,
    name: "XXpsk3",
    // 48 bytes, not 32: with any psk in the pattern the ephemeral key is mixed into the cipher
    // key, so that message 1 already has a tag. Noise section 9.2.
    lengths: [48, 96, 64],
    hasIdentities: true,
    hasSharedKey: true,
    sharedKeyFirst: false,
    hasServerKey: false,
    forPairing: false
  }),
  // The code is the shared key, and each side learns the other's public key. PROTOCOL.md section 12.
  suite({
    id: 6,
    name: "XXpsk0",
    lengths: [48, 96, 64],
    hasIdentities: true,
    hasSharedKey: true,
    sharedKeyFirst: true,
    hasServerKey: false,
    forPairing: true
  })
] as const satisfies ReadonlyArray<Suite>

/** The names of the suites. */
export type SuiteName = (typeof allSuites)[number]["name"]

const byName = Object.fromEntries(
  allSuites.map((suite): [string, Suite] => [suite.name, suite])
) as Readonly<Record<SuiteName, Suite>>

/** Returns the suite of this name. */
export const suiteNamed = (name: SuiteName): Suite => byName[name]

/** The suites of servers and their clients: all but the suite of pairing. */
export const suites: ReadonlyArray<Suite> = allSuites.filter(({ forPairing }) => !forPairing)

/** The suite of pairing. PROTOCOL.md section 12. */
export const pairingSuite: Suite = suiteNamed("XXpsk0")

/** The keys with which a client and a server authenticate each other. */
export type Credentials = "identity" | "sharedKey" | "both"

/**
 * Returns the suite for the keys that a side has. `hasServerKey` is true for a server, and for a
 * client that has the server's public key; a shared key alone needs none. Never the pairing suite.
 */
export const suiteFor = (credentials: Credentials, hasServerKey: boolean): Suite => {
  switch (credentials) {
    case "sharedKey":
      return suiteNamed("NNpsk0")
    case "identity":
      return suiteNamed(hasServerKey ? "IK" : "XX")
    case "both":
      return suiteNamed(hasServerKey ? "IKpsk2" : "XXpsk3")
  }
}

/** Returns the credentials of the keys that are given: a shared key, an identity, or both. */
export const credentialsOf = (hasIdentity: boolean, hasSharedKey: boolean): Credentials =>
  hasIdentity ? (hasSharedKey ? "both" : "identity") : "sharedKey"
