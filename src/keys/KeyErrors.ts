import * as Data from "effect/Data"

/** What was given as the place of a key is none. */
export class KeyReferenceInvalid extends Data.TaggedError("KeyReferenceInvalid")<{
  /** What is wrong and what to do. Never holds a key that was given by mistake. */
  readonly detail: string
}> {
  override get message(): string {
    return this.detail
  }
}

/** There is no file at `path`. */
export class KeyFileMissing extends Data.TaggedError("KeyFileMissing")<{
  readonly path: string
  /** The kind of key that was wanted. */
  readonly kind: string
  /** The command that makes one there. */
  readonly keygen: string
}> {
  override get message(): string {
    return `no ${this.kind} at ${this.path}; copy it from the other side, or make a new one: ${this.keygen} --key ${this.path}`
  }
}

/** A place that is not a file (an environment variable, a command …) gave no key. */
export class KeyUnavailable extends Data.TaggedError("KeyUnavailable")<{
  readonly reference: string
  /** A clause: "the environment variable is not set". */
  readonly reason: string
  readonly hint: string
}> {
  override get message(): string {
    return `no key from ${this.reference}: ${this.reason}; ${this.hint}`
  }
}

/** Why a key that is there is not taken. */
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
  | "protection"

/** Something is at the place, but it is not a key that may be used. */
export class KeyRejected extends Data.TaggedError("KeyRejected")<{
  readonly reference: string
  readonly reason: RejectionReason
  /** What is wrong and what to do, as one clause. Never holds a byte of the key. */
  readonly detail: string
}> {
  override get message(): string {
    return `key refused: ${this.reference}: ${this.detail}`
  }
}

/** A new key would have gone where something already is. A key is never overwritten. */
export class KeyExists extends Data.TaggedError("KeyExists")<{ readonly reference: string }> {
  override get message(): string {
    return `${this.reference} already exists, and a key is never overwritten; name another file, or move this one away first`
  }
}

/** A new key could not be written. */
export class KeyNotCreated extends Data.TaggedError("KeyNotCreated")<{
  readonly reference: string
  readonly detail: string
}> {
  override get message(): string {
    return `could not make a key at ${this.reference}: ${this.detail}`
  }
}

/** A key file could not be written anew. What was there is there. */
export class KeyNotReplaced extends Data.TaggedError("KeyNotReplaced")<{
  readonly reference: string
  readonly detail: string
}> {
  override get message(): string {
    return `could not change the key at ${this.reference}: ${this.detail}; nothing was changed`
  }
}

/** A key was to be protected, and no passphrase was given that could do it. Nothing was changed. */
export class PassphraseRefused extends Data.TaggedError("PassphraseRefused")<{
  readonly reference: string
  readonly detail: string
}> {
  override get message(): string {
    return `no new passphrase for ${this.reference}: ${this.detail}`
  }
}

/** Every reason for which there is no key. */
export type KeyLoadError = KeyReferenceInvalid | KeyFileMissing | KeyUnavailable | KeyRejected
/** Every reason for which no key was made. */
export type KeyCreateError = KeyReferenceInvalid | KeyExists | KeyNotCreated
