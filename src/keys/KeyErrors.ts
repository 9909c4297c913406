import * as Data from "effect/Data"
import { shown } from "../bytes/excerpt.ts"

/** The text given as a key reference is not a valid one. */
export class KeyReferenceInvalid extends Data.TaggedError("KeyReferenceInvalid")<{
  /** The cause and the next step. Never contains a key that was given by mistake. */
  readonly detail: string
}> {
  override get message(): string {
    return this.detail
  }
}

/** There is no file at `path`. */
export class KeyFileMissing extends Data.TaggedError("KeyFileMissing")<{
  readonly path: string
  /** Name of the kind of key that was wanted: "shared key". */
  readonly kind: string
  /** The next step, from `KeyKind.remedy`. */
  readonly remedy: string
}> {
  override get message(): string {
    return `no ${this.kind} at ${shown(this.path)}; ${this.remedy}`
  }
}

/** A location that is not a file (an environment variable, a command, …) gave no key. */
export class KeyUnavailable extends Data.TaggedError("KeyUnavailable")<{
  readonly reference: string
  /** A clause: "the environment variable X is not set". */
  readonly reason: string
  /** The next step: "set X to the text of the key". */
  readonly hint: string
  /**
   * Name of the kind of key that was wanted, where the location is empty and a key can be created
   * in it.
   */
  readonly missing?: string
}> {
  override get message(): string {
    return `no key from ${shown(this.reference)}: ${this.reason}; ${this.hint}`
  }
}

/** Why existing content is not accepted as a key. */
export type RejectionReason =
  | "permissions"
  | "owner"
  | "not a regular file"
  | "unreadable"
  | "wrong length"
  | "wrong kind"
  | "damaged"
  | "all zero"
  | "parameters"
  | "wrong passphrase"
  | "already protected"
  | "not protected"

/** The location has content, but not a key that may be used. */
export class KeyRejected extends Data.TaggedError("KeyRejected")<{
  readonly reference: string
  readonly reason: RejectionReason
  /** The cause and the next step, as one clause. Never contains a byte of the key. */
  readonly detail: string
}> {
  override get message(): string {
    return `key refused: ${shown(this.reference)}: ${this.detail}`
  }
}

/** The location of a new key already has content. A key is never overwritten. */
export class KeyExists extends Data.TaggedError("KeyExists")<{ readonly reference: string }> {
  override get message(): string {
    return `${shown(this.reference)} already exists, and a key is never overwritten; choose another name, or move the old key first`
  }
}

/** A new key could not be written. */
export class KeyNotCreated extends Data.TaggedError("KeyNotCreated")<{
  readonly reference: string
  readonly detail: string
}> {
  override get message(): string {
    return `cannot create a key at ${shown(this.reference)}: ${this.detail}`
  }
}

/** A key file could not be rewritten. Its content is unchanged. */
export class KeyNotReplaced extends Data.TaggedError("KeyNotReplaced")<{
  readonly reference: string
  readonly detail: string
}> {
  override get message(): string {
    return `cannot change the key at ${shown(this.reference)}: ${this.detail}; nothing was changed`
  }
}

/** No usable passphrase was given for a key that was to be protected. Nothing was changed. */
export class PassphraseRefused extends Data.TaggedError("PassphraseRefused")<{
  readonly reference: string
  readonly detail: string
}> {
  override get message(): string {
    return `no new passphrase for ${shown(this.reference)}: ${this.detail}`
  }
}

/** Every error of loading a key. */
export type KeyLoadError = KeyReferenceInvalid | KeyFileMissing | KeyUnavailable | KeyRejected
/** Every error of creating a key. */
export type KeyCreateError = KeyReferenceInvalid | KeyExists | KeyNotCreated
