// The words of a tunnel: TUNNEL.md section 2.

/** CONTROL bodies of one byte; `refused` and those behind it say why there is no connection to the target. */
export const tunnelMessages = {
  offered: 0x10,
  go: 0x11,
  connected: 0x12,
  refused: 0x20,
  unreachable: 0x21,
  timeout: 0x22,
  failed: 0x23
} as const
export type TunnelMessage = keyof typeof tunnelMessages

/** Why the far side did not reach its target. */
export type Reason = "refused" | "unreachable" | "timeout" | "failed"

export const encode = (word: TunnelMessage): Uint8Array => Uint8Array.of(tunnelMessages[word])

/** Undefined for what is no word. */
export const decode = (body: Uint8Array): TunnelMessage | undefined =>
  body.length === 1 ? byByte.get(body[0] as number) : undefined

const byByte: ReadonlyMap<number, TunnelMessage> = new Map(
  Object.entries(tunnelMessages).map(([word, byte]) => [byte, word as TunnelMessage])
)

export const isReason = (word: TunnelMessage | undefined): word is Reason =>
  word !== undefined && tunnelMessages[word] >= tunnelMessages.refused
