// What a server does for a client whose channel stands: one of several services, behind one address. PROTOCOL.md section 13.
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Channel from "../channel/Channel.ts"
import type { AnyOption } from "../peers/OptionSpec.ts"
import type { Accepted } from "../transports/Acceptor.ts"
import type { PeerSession } from "./PeerSessions.ts"

/** The application protocol of the prologue. */
export const application = "sealwire/1"

/** Who is on the other side: what the handshake proved. */
export interface RemotePeer {
  /** The name its key has in authorized_peers; where it is, when all share one key. */
  readonly peer: string
  readonly from: string
  readonly publicKey: Uint8Array | undefined
  readonly suite: string
}

/** How a session may end before all was said. */
export interface SessionError {
  readonly _tag: string
  readonly message: string
}

/** The peer wants what is not done here, and is told so. */
export class NotServed extends Data.TaggedError("NotServed")<{
  readonly peer: string
  readonly opening: string
  /** What may have been meant. */
  readonly alternatives?: ReadonlyArray<string>
}> {
  override get message(): string {
    const { alternatives = [] } = this
    const others =
      alternatives.length === 0 ? "" : `, but ${alternatives.map((one) => `"${one}"`).join(", ")}`
    return `${this.peer} wants "${this.opening}", which is not offered here${others}`
  }
}

/** What a session has done so far, each under its name: { messages: 3 }. */
export type Counters = { [what: string]: number }

/** A client that is in, and what it wants. */
export interface ServiceSession {
  readonly channel: Channel.Channel
  readonly connection: Accepted
  readonly remote: RemotePeer
  /** What it said behind the name of the service, "" for nothing. */
  readonly argument: string
  readonly counters: Counters
  /** Its place under the rules; undefined where all share one key. */
  readonly peerSession: PeerSession | undefined
}

/** One file each: Messages, … */
export interface Service {
  /** As an opening and the rules of a peer name it. */
  readonly name: string
  /** The options that the service adds to authorized_peers; `ruleOptions` takes them. */
  readonly ruleOptions?: ReadonlyArray<AnyOption>
  /** True if an opening may name an argument after the service. Default: false. */
  readonly takesArgument?: boolean
  /** Which of several such things it does for this argument, for the log and the figures; undefined for what it does not know. */
  readonly about?: (argument: string) => string | undefined
  /** One session, until all is said. It ends the channel's own direction; an error cuts the connection, or its close says that it failed. */
  readonly run: (session: ServiceSession) => Effect.Effect<void, SessionError, Scope.Scope>
}

/** What the client says in its READY. */
export const opening = (service: string, argument = ""): string =>
  argument === "" ? service : `${service} ${argument}`

const spelling = /^(?<name>\S+)(?: (?<argument>\S(?:.*\S)?))?$/

/**
 * Parses an opening: a name, or a name, one space and an argument. Any other spelling is returned as
 * a name, which no service has. PROTOCOL.md section 13.
 */
export const parseOpening = (
  text: string
): { readonly name: string; readonly argument: string } => {
  const { name = text, argument = "" } = spelling.exec(text)?.groups ?? {}
  return { name, argument }
}
