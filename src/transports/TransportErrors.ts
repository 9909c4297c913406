import * as Data from "effect/Data"
import { shown } from "../bytes/excerpt.ts"

/** Another socket already listens at the address. */
export class PortInUse extends Data.TaggedError("PortInUse")<{ readonly address: string }> {
  override get message(): string {
    return `${shown(this.address)} is already in use; stop the program that listens there, or listen on another address`
  }
}

/** Listening failed for a reason other than PortInUse. */
export class ListenFailed extends Data.TaggedError("ListenFailed")<{
  readonly address: string
  readonly detail: string
}> {
  override get message(): string {
    return `cannot listen at ${shown(this.address)}: ${this.detail}`
  }
}

/** Reason of a ConnectFailed. */
export type ConnectFailure =
  | "refused"
  | "reset"
  | "timeout"
  | "unreachable"
  | "no such name"
  | "no name server"
  | "no such socket"
  | "no possible socket"
  | "queue full"
  | "permission"
  | "inherited"
  | "elsewhere"
  | "other"

/** The connection could not be established. A later attempt may succeed. */
export class ConnectFailed extends Data.TaggedError("ConnectFailed")<{
  readonly address: string
  readonly reason: ConnectFailure
  /** The system's error code, such as ECONNREFUSED. */
  readonly code: string
}> {
  override get message(): string {
    return `cannot connect to ${shown(this.address)}: ${connectSentences[this.reason]}${this.reason === "other" ? ` (${this.code})` : ""}`
  }
  /** A later attempt may succeed. */
  get transient(): boolean {
    return true
  }
}

const connectSentences: Readonly<Record<ConnectFailure, string>> = {
  refused: "connection refused; is the server running, and is the address right?",
  reset: "the other side reset the connection at once; does another program listen there?",
  timeout: "connection timed out; is the host up, and does a firewall block the port?",
  unreachable: "no route to host; check the address and the network",
  "no such name": "could not resolve the host name; check its spelling and the DNS",
  "no name server": "no name server answers; check the network and /etc/resolv.conf",
  "no such socket": "no socket at that path; is the server running?",
  "no possible socket":
    "no socket can have this path; use a shorter one, or one relative to the working directory",
  "queue full": "the server accepts no connections; it may be suspended or overloaded",
  permission: "permission denied; check the permissions of the socket and its folder",
  inherited: "an inherited socket can only listen; give an address to connect to",
  elsewhere: "the name resolves to another host, and only loopback addresses are allowed",
  other: "the operating system refused"
}

/** An established connection was reset, timed out, or closed while bytes were still expected. */
export class ConnectionLost extends Data.TaggedError("ConnectionLost")<{
  readonly peer: string
  /** The system's error code (ECONNRESET, EPIPE, ETIMEDOUT), or CLOSED. */
  readonly code: string
}> {
  override get message(): string {
    return `the connection to ${this.peer} was lost (${this.code})`
  }
  /** A later attempt may succeed. */
  get transient(): boolean {
    return true
  }
}
