// The state of a channel as a whole, and the error of a channel that has ended.
import {
  ChannelClosed,
  ChannelRefused,
  ChannelTampered,
  HandshakeFailed,
  NotOffered,
  PeerDead,
  StreamTruncated,
  type ChannelError
} from "./ChannelErrors.ts"
import { CloseCode, reasonOf } from "./Close.ts"
import { closedByPeer } from "./HandshakeDriver.ts"
import type { HandshakeFailure } from "./HandshakeFailure.ts"

/** The event that has ended a channel. */
export type Ending =
  | { readonly _tag: "CloseReceived"; readonly code: CloseCode }
  | { readonly _tag: "CloseSent"; readonly code: CloseCode }
  /** The byte stream ended, or was reset, without CLOSE. */
  | { readonly _tag: "StreamEnded"; readonly code: string }
  /** The peer broke the protocol. */
  | { readonly _tag: "Violation"; readonly detail: string }
  /** A deadline has passed, or PINGs were not answered. */
  | { readonly _tag: "TimedOut" }

/** The state of a channel. It is open once the peer's READY has arrived. */
type State =
  | { readonly _tag: "AwaitingReady" }
  | { readonly _tag: "Open" }
  | { readonly _tag: "Ended"; readonly ending: Ending; readonly wasOpen: boolean }

/** The names and facts in the errors of a channel. */
export interface Subject {
  readonly peer: string
  /** The opening that this side has sent; undefined on a server. */
  readonly opening: string | undefined
  /** True on a client whose handshake has shown that the server accepts its keys, before READY. */
  readonly isAccepted: boolean
}

type Errors = {
  readonly [Tag in Ending["_tag"]]: (
    ending: Extract<Ending, { readonly _tag: Tag }>,
    subject: Subject
  ) => ChannelError
}

const closedHere: Errors["CloseSent"] = ({ code }) =>
  new ChannelClosed({ peer: "this side", reason: reasonOf(code) })

/** The errors of a channel that was open. */
const openErrors: Errors = {
  CloseReceived: ({ code }, { peer, opening = "" }) => {
    if (code === CloseCode.Refused) return new ChannelRefused({ peer })
    if (code === CloseCode.NotOffered) return new NotOffered({ peer, opening })
    return new ChannelClosed({ peer, reason: reasonOf(code) })
  },
  CloseSent: closedHere,
  StreamEnded: ({ code }, { peer }) => new StreamTruncated({ peer, code }),
  Violation: ({ detail }, { peer }) => new ChannelTampered({ peer, detail }),
  TimedOut: (_, { peer }) => new PeerDead({ peer })
}

/** A failed handshake; a server tells its log the reason alone. */
const notReady = (
  { peer, opening }: Subject,
  reason: string,
  failure: HandshakeFailure
): HandshakeFailed =>
  new HandshakeFailed(opening === undefined ? { peer, reason } : { peer, reason, failure })

/** The errors of a channel that has never been open: its handshake has failed. */
const handshakeErrors: Errors = {
  ...openErrors,
  StreamEnded: (_, subject) =>
    notReady(subject, closedByPeer, subject.isAccepted ? "interrupted" : "key refused"),
  Violation: ({ detail }, subject) => notReady(subject, detail, "undecipherable"),
  TimedOut: (_, subject) => notReady(subject, "timed out", "unanswered")
}

export class Closing {
  readonly #subject: Subject
  #state: State = { _tag: "AwaitingReady" }
  #error: ChannelError | undefined
  /** The peer's byte stream has ended. */
  #isStreamEnded = false
  #onStreamEnd: (() => void) | undefined

  constructor(subject: Subject) {
    this.#subject = subject
  }

  /** True once the peer's READY has arrived, also after the end. */
  get wasOpen(): boolean {
    return this.#state._tag === "Ended" ? this.#state.wasOpen : this.#state._tag === "Open"
  }

  get isEnded(): boolean {
    return this.#state._tag === "Ended"
  }

  /** True when the peer has closed the channel: this side must send nothing more. */
  get isClosedByPeer(): boolean {
    return this.#state._tag === "Ended" && this.#state.ending._tag === "CloseReceived"
  }

  /**
   * The error of an ended channel. It is made on demand: it costs as much CPU as a record, and most
   * channels end without one.
   */
  get error(): ChannelError | undefined {
    const state = this.#state
    if (state._tag !== "Ended") return undefined
    const errors = state.wasOpen ? openErrors : handshakeErrors
    const make = errors[state.ending._tag] as (ending: Ending, subject: Subject) => ChannelError
    return (this.#error ??= make(state.ending, this.#subject))
  }

  /** The peer's READY has arrived. */
  open(): void {
    this.#state = { _tag: "Open" }
  }

  /** Ends the channel; the first ending counts. */
  end(ending: Ending): void {
    if (!this.isEnded) this.#state = { _tag: "Ended", ending, wasOpen: this.wasOpen }
  }

  /** The peer's byte stream has ended. */
  endStream(): void {
    this.#isStreamEnded = true
    this.#onStreamEnd?.()
  }

  /** Calls back when the peer's byte stream has ended, at once if it has. */
  onStreamEnd(callback: () => void): void {
    if (this.#isStreamEnded) callback()
    else this.#onStreamEnd = callback
  }
}
