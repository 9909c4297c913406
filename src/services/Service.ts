// The interface of a service: one of several behind one address, which a client selects with its
// opening. PROTOCOL.md section 13.
import { shown } from "../bytes/excerpt.ts"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Channel from "../channel/Channel.ts"
import type { ChannelError } from "../channel/ChannelErrors.ts"
import type { AnyOption } from "../peers/OptionSpec.ts"
import type { Accepted } from "../transports/Acceptor.ts"
import type { SessionMemory } from "./PeerBudgets.ts"
import type { Expelled, PeerSession, RefusedByRules } from "./PeerSessions.ts"

/** The application protocol of the prologue. */
export const application = "sealwire/1"

/** The peer of a session, as the handshake has proven it. */
export interface RemotePeer {
  /** The name of its key in authorized_peers; its address if all clients share one key. */
  readonly peer: string
  readonly from: string
  readonly publicKey: Uint8Array | undefined
  readonly suite: string
}

/** The members of every error of a session. */
export interface SessionFailure {
  readonly _tag: string
  /** A sentence for the log. */
  readonly message: string
}

/**
 * Every error of a session: those of the server itself, and `E` of its services. `ChannelTampered`
 * resets the connection; every other error closes the channel.
 */
export type SessionError<E = never> =
  | ChannelError
  | NotServed
  | RefusedByRules
  | Expelled
  | SessionDied
  | SessionInterrupted
  | E

/** The service died: a defect of this program, which the acceptor logs. */
export class SessionDied extends Data.TaggedError("SessionDied")<{
  readonly peer: string
  readonly defect: unknown
}> {
  override get message(): string {
    return `the session of ${this.peer} ended by a defect of this server`
  }
}

/** The session was interrupted: the server stopped, and its drain deadline is over. */
export class SessionInterrupted extends Data.TaggedError("SessionInterrupted")<{
  readonly peer: string
}> {
  override get message(): string {
    return `the session of ${this.peer} was interrupted: this server is shutting down`
  }
}

/** The client requested a service that this server does not offer. The client is told that. */
export class NotServed extends Data.TaggedError("NotServed")<{
  readonly peer: string
  readonly opening: string
  /** Openings that the server does offer. */
  readonly alternatives?: ReadonlyArray<string>
}> {
  override get message(): string {
    const { alternatives = [] } = this
    const offered =
      alternatives.length === 0
        ? ""
        : `; offered: ${alternatives.map((one) => `"${one}"`).join(", ")}`
    return `${this.peer} requested "${shown(this.opening)}", which this server does not offer${offered}`
  }
}

/** The counters of a session, by name: { messages: 3 }. */
export type Counters = { [counter: string]: number }

/** A session of an authenticated client that a service runs. */
export interface ServiceSession {
  readonly channel: Channel.Channel
  readonly connection: Accepted
  readonly remote: RemotePeer
  /** The text after the name of the service in the opening; "" if there is none. */
  readonly argument: string
  readonly counters: Counters
  /** The client's rules and allowances; undefined if all clients share one key. */
  readonly peerSession: PeerSession | undefined
  /** Memory for unfinished requests, which counts against the client over all its sessions. */
  readonly memory: SessionMemory
}

/**
 * A service of a server. `E` are the errors of its sessions beside those of `SessionError`, and `R`
 * is what they require; the server that offers it has both in its type.
 *
 * @example
 * const echo: Service = {
 *   name: "echo",
 *   run: ({ channel }) =>
 *     Effect.gen(function* () {
 *       let item = yield* channel.read
 *       while (item instanceof Uint8Array) {
 *         yield* channel.write(item)
 *         item = yield* channel.read
 *       }
 *       yield* channel.end
 *     })
 * }
 */
export interface Service<E = never, R = never> {
  /** The name in openings and in `services="…"` of authorized_peers. */
  readonly name: string
  /** The options that the service adds to authorized_peers; `ruleOptions` takes them. */
  readonly ruleOptions?: ReadonlyArray<AnyOption>
  /** True if an opening may name an argument after the service. Default: false. */
  readonly takesArgument?: boolean
  /**
   * Returns the part of the service that an argument selects, for logs and metrics; undefined if
   * unknown.
   */
  readonly about?: (argument: string) => string | undefined
  /**
   * Runs one session. On success it has ended the channel, or left it to the next session with
   * `again`; an error closes or resets it.
   */
  readonly run: (
    session: ServiceSession
  ) => Effect.Effect<void | typeof again, SessionError<E>, R | Scope.Scope>
}

/**
 * The result of a session whose channel may carry another one. The server begins it under the rules
 * of that moment, or closes the channel.
 */
export const again: unique symbol = Symbol("sealwire/services/again")

export declare namespace Service {
  /** A service with any errors and requirements. */
  type Any = Service<SessionFailure, unknown>
  /** The errors of a service, beside those of `SessionError`. */
  type Error<S extends Any> = S extends Service<infer E, infer _R> ? E : never
  /** The requirements of the sessions of a service. */
  type Context<S extends Any> = S extends Service<infer _E, infer R> ? R : never
}

/** Formats the opening that a client sends in READY. */
export const opening = (service: string, argument = ""): string =>
  argument === "" ? service : `${service} ${argument}`

const spelling = /^(?<name>\S+)(?: (?<argument>\S(?:.*\S)?))?$/

/**
 * Parses an opening: a name, or a name, one space and an argument. Any other spelling is returned
 * as a name, which no service has. PROTOCOL.md section 13.
 */
export const parseOpening = (
  text: string
): { readonly name: string; readonly argument: string } => {
  const { name = text, argument = "" } = spelling.exec(text)?.groups ?? {}
  return { name, argument }
}
