import { shown } from "../bytes/excerpt.ts"
import * as Data from "effect/Data"
import type { KnownPeer } from "./Peers.ts"

/**
 * The client knows no valid key for the server: known_peers has none, or only retired and revoked
 * ones.
 */
export class ServerUnknown extends Data.TaggedError("ServerUnknown")<{
  /** Address or name that was looked up. */
  readonly wanted: string
  /** The known_peers file. */
  readonly file: string
  /** Keys of that address or name that are retired or revoked. */
  readonly withdrawn: ReadonlyArray<KnownPeer>
}> {
  override get message(): string {
    const where =
      this.withdrawn.length === 0
        ? this.file
        : `retired or revoked: ${this.withdrawn.map(({ line }) => `${shown(this.file)}:${line}`).join(", ")}`
    return `no key is known for ${shown(this.wanted)} (${where}); pin the one that sealwire pubkey prints on the server`
  }
}

/** The server showed another key than the one pinned for its address. */
export class ServerKeyChanged extends Data.TaggedError("ServerKeyChanged")<{
  readonly address: string
  /** Fingerprint of the pinned key. */
  readonly expected: string
  /** Fingerprint of the key that the server showed. */
  readonly offered: string
  /** Source of the pinned key: file and line, or "given". */
  readonly where: string
}> {
  override get message(): string {
    const nextStep = this.where === "given" ? "use that key" : "remove that line"
    return (
      `the key of ${shown(this.address)} has changed: expected ${this.expected} (${shown(this.where)}), offered ${this.offered}; ` +
      `this may be a man-in-the-middle attack. If the server has a new key, ${nextStep}`
    )
  }
}

/** The server showed a key that known_peers has as retired or revoked. */
export class ServerKeyWithdrawn extends Data.TaggedError("ServerKeyWithdrawn")<{
  readonly address: string
  readonly fingerprint: string
  /** `revoked` or `retired 2027-01-01`. */
  readonly reason: string
  /** File and line of the entry. */
  readonly where: string
}> {
  override get message(): string {
    return (
      `the key of ${shown(this.address)}, ${this.fingerprint}, is ${this.reason} (${shown(this.where)}); ` +
      `it may be in other hands. Ask for the server's current key`
    )
  }
}
