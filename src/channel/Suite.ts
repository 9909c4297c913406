import { ofPattern, type Protocol } from "../noise/Protocol.ts"

/** What the two sides hold, and so which handshake they run. PROTOCOL.md section 2. */
export interface Suite {
  /** Byte 5 of the hello. */
  readonly id: number
  readonly name: "NNpsk0" | "IK" | "XX" | "IKpsk2" | "XXpsk3" | "XXpsk0"
  readonly protocol: Protocol
  /** The exact length of each handshake message, in bytes; payloads are empty. */
  readonly lengths: readonly [first: number, second: number, ...third: ReadonlyArray<number>]
  /** Each side has a long-term key pair, and learns or knows the other's. */
  readonly identities: boolean
  /** Both hold a shared key. */
  readonly shared: boolean
  /** The shared key seals message 1 already, before the client has said who it is. */
  readonly sharedFirst: boolean
  /** The client knows the server's public key beforehand. */
  readonly pinned: boolean
}

const suite = (id: number, name: Suite["name"], lengths: Suite["lengths"]): Suite => ({
  id,
  name,
  protocol: ofPattern(name),
  lengths,
  identities: !name.startsWith("NN"),
  shared: name.includes("psk"),
  sharedFirst: name.endsWith("psk0"),
  pinned: name.startsWith("IK")
})

/** The menu of servers and their clients; nothing is negotiated. */
export const suites: readonly [nnPsk0: Suite, ik: Suite, xx: Suite, ikPsk2: Suite, xxPsk3: Suite] =
  [
    suite(1, "NNpsk0", [48, 48]),
    suite(2, "IK", [96, 48]),
    suite(3, "XX", [32, 96, 64]),
    suite(4, "IKpsk2", [96, 48]),
    // A psk anywhere in the pattern mixes the ephemeral into the key, so message 1 has a tag already: 48, not 32. Noise section 9.2.
    suite(5, "XXpsk3", [48, 96, 64])
  ]

/** Where the shared key is a code of one use, and the keys are still to be learned. On no menu: a server answers it that pairs. */
export const pairing: Suite = suite(6, "XXpsk0", [48, 96, 64])

/** Every suite that a hello may name. */
export const everySuite: readonly [Suite, ...ReadonlyArray<Suite>] = [...suites, pairing]

/** The suite of the menu for what a side holds. */
export const suiteFor = (
  holds: Pick<Suite, "identities" | "shared" | "pinned">
): Suite | undefined =>
  suites.find(
    ({ identities, shared, pinned }) =>
      identities === holds.identities && shared === holds.shared && pinned === holds.pinned
  )
