// Errors of a pairing.
import { shown } from "../../bytes/excerpt.ts"
import * as Data from "effect/Data"
import type { ChannelError, ChannelTampered } from "../../channel/ChannelErrors.ts"
import { limits } from "./limits.ts"

/**
 * At the host: a complete message 1 that does not decrypt, or a handshake that was not finished.
 */
export class PairingFailed extends Data.TaggedError("PairingFailed")<{
  readonly address: string
  readonly from: string
  /** "decrypt failed", "it closed the connection" … */
  readonly reason: string
}> {
  override get message(): string {
    return (
      `wrong code or incomplete handshake from ${this.from} at ${shown(this.address)} (${this.reason}); ` +
      `this code is no longer valid; pair again with a new code`
    )
  }
}

/** At the joining side: the host closed the connection during the handshake, or did not answer. */
export class PairingRefused extends Data.TaggedError("PairingRefused")<{
  readonly address: string
  readonly reason: string
  /** True if it did not answer, which is no refusal. */
  readonly isUnanswered: boolean
}> {
  override get message(): string {
    if (this.isUnanswered)
      return (
        `${shown(this.address)} did not answer (${this.reason}); ` +
        `check that a pairing host listens there, and pair again with a new code`
      )
    return (
      `${shown(this.address)} refused the code (${this.reason}): it was wrong, used or expired, ` +
      `or no pairing host listens there; pair again with a new code`
    )
  }
}

/** The code was not used in time, or the pairing was not confirmed on both sides in time. */
export class PairingExpired extends Data.TaggedError("PairingExpired")<{
  readonly deadline: "code" | "confirmation"
}> {
  override get message(): string {
    return this.deadline === "code"
      ? `the code was not used within ${limits.codeDeadline}; ` +
          `this code is no longer valid; pair again with a new code`
      : `the pairing was not confirmed on both sides within ${limits.confirmDeadline}; ` +
          `nothing was changed, pair again`
  }
}

/** The channel ended before this side knew that both had confirmed. */
export class PairingBroken extends Data.TaggedError("PairingBroken")<{
  readonly peer: string
  readonly detail: string
}> {
  override get message(): string {
    return (
      `${this.peer} disconnected before both sides had confirmed (${this.detail}); ` +
      `nothing was changed here, pair again`
    )
  }
}

/** The user on one side declined the other side. */
export class PairingDeclined extends Data.TaggedError("PairingDeclined")<{ readonly by: string }> {
  override get message(): string {
    return `${this.by} declined the pairing; nothing was changed on either side`
  }
}

/** Every error that can end a pairing after its handshake, on either side. */
export type PairError =
  | PairingExpired
  | PairingDeclined
  | PairingBroken
  | PairingRefused
  | ChannelTampered

/** Translates the error of a channel that ended too early. */
export const fromChannelError =
  (peer: string) =>
  (error: ChannelError): PairingRefused | PairingBroken | ChannelTampered => {
    switch (error._tag) {
      case "ChannelTampered":
        return error
      case "HandshakeFailed":
        return new PairingRefused({
          address: peer,
          reason: error.reason,
          isUnanswered: error.failure === "unanswered"
        })
      case "StreamTruncated":
        return new PairingBroken({ peer, detail: error.code })
      case "ChannelClosed":
        return new PairingBroken({ peer, detail: error.reason })
      case "ChannelRefused":
        return new PairingBroken({ peer, detail: "refused by its rules" })
      case "NotOffered":
        return new PairingBroken({ peer, detail: "it does not offer pairing" })
      case "PeerDead":
        return new PairingBroken({ peer, detail: "it stopped answering" })
    }
  }
