// The kinds of failed handshakes that a client can recognise. A server tells nothing: it closes the
// connection at a multiple of the refusal quantum, whatever the reason. PROTOCOL.md section 4.

/** The end of a failed handshake, as the client sees it. */
export type HandshakeFailure = keyof typeof failures

interface Description {
  /** A clause that follows the address of the server. */
  readonly clause: string
  /** The next step. */
  readonly advice: string
  /** True if another attempt may succeed: no server that refuses a client fails this way. */
  readonly transient: boolean
}

const failures = {
  unanswered: {
    clause: "did not answer the handshake",
    advice: "it may be suspended or overloaded, or not a Sealwire server; try again",
    transient: true
  },
  // A load balancer whose server is down behaves like this.
  "closed early": {
    clause: "closed the connection sooner than a server that refuses a client",
    advice: "it may be stopping or full, or a proxy without its server; try again",
    transient: true
  },
  // The server had shown that it accepts the client.
  interrupted: {
    clause: "accepted the keys, and the connection ended before the handshake was complete",
    advice: "try again",
    transient: true
  },
  refused: {
    clause: "refused the handshake",
    advice:
      "it does not tell the reason; check that both sides have the right keys and the same server name",
    transient: false
  },
  // It has shown that it holds its key, under the server name of this client.
  "key refused": {
    clause: "proved its own key and refused ours",
    advice: "its administrator must authorize the key of this client",
    transient: false
  },
  foreign: {
    clause: "is not a Sealwire server",
    advice: "check the address and the port",
    transient: false
  },
  undecipherable: {
    clause: "sent an answer that does not fit the keys and the server name of this client",
    advice: "check that both sides have the same server name and the right keys",
    transient: false
  }
} as const satisfies Readonly<Record<string, Description>>

/** The description of a failure. */
export const descriptionOf = (failure: HandshakeFailure): Description => failures[failure]

/** The first bytes that servers of other protocols send, and the protocols. */
const protocols: ReadonlyArray<readonly [begin: string, protocol: string]> = [
  ["HT", "HTTP"],
  ["SS", "SSH"],
  ["22", "SMTP or FTP"],
  ["+O", "POP3"],
  ["* ", "IMAP"],
  ["\u0015\u0003", "TLS"],
  ["-E", "Redis"]
]

/** An answer that does not begin with the length of a handshake message. */
export class ForeignAnswer {
  readonly reason: string

  constructor(begin: Uint8Array) {
    const found = protocols.find(([each]) => each === Buffer.from(begin).toString("latin1"))
    this.reason = `it answers in ${found === undefined ? "another protocol" : found[1]}`
  }
}
