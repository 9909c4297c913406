// Errors for programs without Effect: an Error of Node, with a code.
import type { ChannelError } from "../channel/ChannelErrors.ts"
import type { KeyLoadError } from "../keys/KeyErrors.ts"
import type { AddressInvalid } from "../transports/Address.ts"
import type { ConnectFailed, ListenFailed, PortInUse } from "../transports/TransportErrors.ts"

/** All that can go wrong, as the library's typed errors have it. */
export type Tagged =
  | ChannelError
  | ConnectFailed
  | PortInUse
  | ListenFailed
  | AddressInvalid
  | KeyLoadError

/** Its `code` is the tag of the typed error, which is its `cause`; its `message` is the sentence a person reads. */
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
