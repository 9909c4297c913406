// The error of the API for programs without Effect: a Node.js Error with a code.
import type { ChannelError } from "../channel/ChannelErrors.ts"
import type { KeyLoadError } from "../keys/KeyErrors.ts"
import type { AddressInvalid } from "../transports/Address.ts"
import type { ConnectFailed, ListenFailed, PortInUse } from "../transports/TransportErrors.ts"

/** The typed errors that a SealwireError can wrap. */
export type Tagged =
  | ChannelError
  | ConnectFailed
  | PortInUse
  | ListenFailed
  | AddressInvalid
  | KeyLoadError

/** Wraps a typed error: `code` is its tag, `cause` the error itself, `message` its message. */
export class SealwireError extends Error {
  override readonly name = "SealwireError"
  readonly code: Tagged["_tag"]
  override readonly cause: Tagged

  constructor(cause: Tagged) {
    super(cause.message)
    this.code = cause._tag
    this.cause = cause
  }
}
