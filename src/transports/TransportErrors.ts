import * as Data from "effect/Data"

/** Somebody listens at this address already. */
export class PortInUse extends Data.TaggedError("PortInUse")<{ readonly address: string }> {
  override get message(): string {
    return `${this.address} is already in use; stop what listens there, or listen somewhere else (--listen)`
  }
}

/** Listening is not possible there for another reason. */
export class ListenFailed extends Data.TaggedError("ListenFailed")<{
  readonly address: string
  readonly detail: string
}> {
  override get message(): string {
    return `cannot listen at ${this.address}: ${this.detail}`
  }
}

/** Why no connection came about. */
export type ConnectFailure =
  | "refused"
  | "timeout"
  | "unreachable"
  | "no such name"
  | "no such socket"
  | "permission"
  | "inherited"
  | "elsewhere"
  | "other"

/** No connection came about. Trying again later may help. */
export class ConnectFailed extends Data.TaggedError("ConnectFailed")<{
  readonly address: string
  readonly reason: ConnectFailure
  /** The system's code: ECONNREFUSED … */
  readonly code: string
}> {
  override get message(): string {
    return `cannot connect to ${this.address}: ${connectSentences[this.reason]}${this.reason === "other" ? ` (${this.code})` : ""}`
  }
}

const connectSentences: Readonly<Record<ConnectFailure, string>> = {
  refused: "nobody listens there; is the server running, and is the address right?",
  timeout: "no answer in time; is the machine up, and does a firewall stand between?",
  unreachable: "there is no way to that network or machine",
  "no such name": "that name is not known; check its spelling and the DNS",
  "no such socket": "there is no socket at that path; is the server running?",
  permission: "this user may not use it; check the permissions of the socket and its folder",
  inherited: "an inherited socket is for listening; name an address",
  elsewhere: "that name leads to another machine, and only this one is allowed",
  other: "the system refused"
}

/** A connection that stood is gone before its end: reset, timed out, or closed while bytes were still to come. */
export class ConnectionLost extends Data.TaggedError("ConnectionLost")<{
  readonly peer: string
  /** The system's code (ECONNRESET, EPIPE, ETIMEDOUT), or CLOSED. */
  readonly code: string
}> {
  override get message(): string {
    return `the connection with ${this.peer} was lost (${this.code})`
  }
}
