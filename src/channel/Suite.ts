import { fromPattern, type Protocol } from "../noise/Protocol.ts"

/**
 * A Noise handshake pattern, and the keys that the two sides need for it. PROTOCOL.md section 2.
 */
export interface Suite {
  /** Byte 5 of the hello. */
  readonly id: number
  /** The Noise pattern with its modifiers. */
  readonly name: "NNpsk0" | "IK" | "XX" | "IKpsk2" | "XXpsk3" | "XXpsk0"
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
}

/** The suites of servers and their clients. The client selects one; nothing is negotiated. */
export const suites: readonly [nnPsk0: Suite, ik: Suite, xx: Suite, ikPsk2: Suite, xxPsk3: Suite] =
  [
    {
      id: 1,
      name: "NNpsk0",
      protocol: fromPattern("NNpsk0"),
      lengths: [48, 48],
      hasIdentities: false,
      hasSharedKey: true,
      sharedKeyFirst: true,
      hasServerKey: false
    },
    {
      id: 2,
      name: "IK",
      protocol: fromPattern("IK"),
      lengths: [96, 48],
      hasIdentities: true,
      hasSharedKey: false,
      sharedKeyFirst: false,
      hasServerKey: true
    },
    {
      id: 3,
      name: "XX",
      protocol: fromPattern("XX"),
      lengths: [32, 96, 64],
      hasIdentities: true,
      hasSharedKey: false,
      sharedKeyFirst: false,
      hasServerKey: false
    },
    {
      id: 4,
      name: "IKpsk2",
      protocol: fromPattern("IKpsk2"),
      lengths: [96, 48],
      hasIdentities: true,
      hasSharedKey: true,
      sharedKeyFirst: false,
      hasServerKey: true
    },
    {
      id: 5,
      name: "XXpsk3",
      protocol: fromPattern("XXpsk3"),
      // 48 bytes, not 32: with any psk in the pattern the ephemeral key is mixed into the cipher
      // key, so that message 1 already has a tag. Noise section 9.2.
      lengths: [48, 96, 64],
      hasIdentities: true,
      hasSharedKey: true,
      sharedKeyFirst: false,
      hasServerKey: false
    }
  ]

/**
 * The suite of pairing: the shared key comes from a one-time code, and each side learns the other's
 * public key. Only a server that pairs accepts it. PROTOCOL.md section 12.
 */
export const pairingSuite: Suite = {
  id: 6,
  name: "XXpsk0",
  protocol: fromPattern("XXpsk0"),
  lengths: [48, 96, 64],
  hasIdentities: true,
  hasSharedKey: true,
  sharedKeyFirst: true,
  hasServerKey: false
}

/** Every suite that a hello may name. */
export const allSuites: readonly [Suite, ...ReadonlyArray<Suite>] = [...suites, pairingSuite]

/**
 * Returns the suite for the keys that a side has; undefined when it has none. Never the pairing
 * suite.
 */
export const suiteFor = (
  keys: Pick<Suite, "hasIdentities" | "hasSharedKey" | "hasServerKey">
): Suite | undefined =>
  suites.find(
    ({ hasIdentities, hasSharedKey, hasServerKey }) =>
      hasIdentities === keys.hasIdentities &&
      hasSharedKey === keys.hasSharedKey &&
      hasServerKey === keys.hasServerKey
  )
