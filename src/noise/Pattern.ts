// The handshake patterns of the Noise Protocol Framework, revision 34, sections 7 and 18, as data.

/** A token of a message pattern. Section 7.1; `psk`: section 9. */
export type Token = "e" | "s" | "ee" | "es" | "se" | "ss" | "psk"

/** A handshake pattern. Section 7. */
export interface Pattern {
  /** Pre-message of the initiator: its static public key, or empty. Section 7.1. */
  readonly initiatorPre: ReadonlyArray<"s">
  /** Pre-message of the responder. */
  readonly responderPre: ReadonlyArray<"s">
  /** Tokens of each message. The initiator writes the first one; then the sides alternate. */
  readonly messages: ReadonlyArray<ReadonlyArray<Token>>
  /**
   * True for a one-way pattern: only the initiator writes, also after the handshake. Section 7.4.
   */
  readonly oneWay: boolean
}

/**
 * The notation of the specification, with its lines separated by `|`; `...` ends the pre-messages.
 */
const notations: Readonly<Record<string, string>> = {
  // Section 7.4: one-way.
  N: "<- s | ... | -> e, es",
  K: "-> s | <- s | ... | -> e, es, ss",
  X: "<- s | ... | -> e, es, s, ss",
  // Section 7.5: interactive, fundamental.
  NN: "-> e | <- e, ee",
  NK: "<- s | ... | -> e, es | <- e, ee",
  NX: "-> e | <- e, ee, s, es",
  XN: "-> e | <- e, ee | -> s, se",
  XK: "<- s | ... | -> e, es | <- e, ee | -> s, se",
  XX: "-> e | <- e, ee, s, es | -> s, se",
  KN: "-> s | ... | -> e | <- e, ee, se",
  KK: "-> s | <- s | ... | -> e, es, ss | <- e, ee, se",
  KX: "-> s | ... | -> e | <- e, ee, se, s, es",
  IN: "-> e, s | <- e, ee, se",
  IK: "<- s | ... | -> e, es, s, ss | <- e, ee, se",
  IX: "-> e, s | <- e, ee, se, s, es",
  // Section 18.1: interactive, deferred.
  NK1: "<- s | ... | -> e | <- e, ee, es",
  NX1: "-> e | <- e, ee, s | -> es",
  X1N: "-> e | <- e, ee | -> s | <- se",
  X1K: "<- s | ... | -> e, es | <- e, ee | -> s | <- se",
  XK1: "<- s | ... | -> e | <- e, ee, es | -> s, se",
  X1K1: "<- s | ... | -> e | <- e, ee, es | -> s | <- se",
  X1X: "-> e | <- e, ee, s, es | -> s | <- se",
  XX1: "-> e | <- e, ee, s | -> es, s, se",
  X1X1: "-> e | <- e, ee, s | -> es, s | <- se",
  K1N: "-> s | ... | -> e | <- e, ee | -> se",
  K1K: "-> s | <- s | ... | -> e, es | <- e, ee | -> se",
  KK1: "-> s | <- s | ... | -> e | <- e, ee, se, es",
  K1K1: "-> s | <- s | ... | -> e | <- e, ee, es | -> se",
  K1X: "-> s | ... | -> e | <- e, ee, s, es | -> se",
  KX1: "-> s | ... | -> e | <- e, ee, se, s | -> es",
  K1X1: "-> s | ... | -> e | <- e, ee, s | -> se, es",
  I1N: "-> e, s | <- e, ee | -> se",
  I1K: "<- s | ... | -> e, es, s | <- e, ee | -> se",
  IK1: "<- s | ... | -> e, s | <- e, ee, se, es",
  I1K1: "<- s | ... | -> e, s | <- e, ee, es | -> se",
  I1X: "-> e, s | <- e, ee, s, es | -> se",
  IX1: "-> e, s | <- e, ee, se, s | -> es",
  I1X1: "-> e, s | <- e, ee, s | -> se, es"
}

const parse = (name: string, notation: string): Pattern => {
  const lines = notation.split(" | ")
  const dots = lines.indexOf("...")
  const pre = lines.slice(0, Math.max(dots, 0))
  return {
    initiatorPre: pre.includes("-> s") ? ["s"] : [],
    responderPre: pre.includes("<- s") ? ["s"] : [],
    messages: lines
      .slice(dots + 1)
      .map((line) => line.slice(3).split(", ") as ReadonlyArray<Token>),
    oneWay: name.length === 1
  }
}

/** The patterns without modifiers, by name. */
export const patterns: ReadonlyMap<string, Pattern> = new Map(
  Object.entries(notations).map(([name, notation]) => [name, parse(name, notation)])
)

/**
 * Applies psk modifiers, section 9.4: psk0 places a psk token before the tokens of the first
 * message, pskN after those of message N. Returns undefined when there is no message N, or N occurs
 * twice.
 */
export const withPsks = (
  pattern: Pattern,
  positions: ReadonlyArray<number>
): Pattern | undefined => {
  if (new Set(positions).size !== positions.length) return undefined
  if (positions.some((position) => position > pattern.messages.length)) return undefined
  return {
    ...pattern,
    messages: pattern.messages.map((tokens, index): ReadonlyArray<Token> => {
      const before: ReadonlyArray<Token> = index === 0 && positions.includes(0) ? ["psk"] : []
      const after: ReadonlyArray<Token> = positions.includes(index + 1) ? ["psk"] : []
      return [...before, ...tokens, ...after]
    })
  }
}
