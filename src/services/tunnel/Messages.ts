// The CONTROL messages of a tunnel. TUNNEL.md section 2.

/** The messages that report why the server has no connection to its target. */
const failures = {
  refused: 0x20,
  unreachable: 0x21,
  timeout: 0x22,
  failed: 0x23
} as const

/** The body of each message: one byte. */
export const tunnelMessages = {
  offered: 0x10,
  go: 0x11,
  connected: 0x12,
  end: 0x13,
  ...failures
} as const
export type TunnelMessage = keyof typeof tunnelMessages

/** Reason why the server has no connection to its target. */
export type FailureReason = keyof typeof failures

export const encode = (message: TunnelMessage): Uint8Array => Uint8Array.of(tunnelMessages[message])

/** Returns undefined for the body of an unknown message. */
export const decode = (body: Uint8Array): TunnelMessage | undefined =>
  body.length === 1 ? byByte.get(body[0] as number) : undefined

const byByte: ReadonlyMap<number, TunnelMessage> = new Map(
  Object.entries(tunnelMessages).map(([message, byte]) => [byte, message as TunnelMessage])
)

export const isFailure = (message: TunnelMessage | undefined): message is FailureReason =>
  message !== undefined && message in failures
