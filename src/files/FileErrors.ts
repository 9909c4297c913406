import * as Data from "effect/Data"

/** It does not begin as a file of ours. */
export class NotEncrypted extends Data.TaggedError("NotEncrypted")<{ readonly file: string }> {
  override get message(): string {
    return `${this.file}: is nothing that sealwire encrypt made (or its first bytes were changed)`
  }
}

/** It is one of ours, in a form that came later than this program. */
export class FileFromNewer extends Data.TaggedError("FileFromNewer")<{
  readonly file: string
  readonly version: number
}> {
  override get message(): string {
    return `${this.file}: was written by a newer sealwire (version ${this.version} of the format, and this one knows 1), or its first bytes were changed; update sealwire`
  }
}

/** The file was changed, or parts of files were put together. What came out of it before this is as it was written. */
export class FileTampered extends Data.TaggedError("FileTampered")<{
  readonly file: string
  /** A clause: "its header was changed". */
  readonly detail: string
}> {
  override get message(): string {
    return `${this.file}: ${this.detail}; get it again, or from a backup`
  }
}

/** The end of the file is missing. What came out of it before this is as it was written. */
export class FileTruncated extends Data.TaggedError("FileTruncated")<{ readonly file: string }> {
  override get message(): string {
    return `${this.file}: its end is missing: it was cut off; get it again, or from a backup`
  }
}

/** The key that was given opens none of the file's stanzas. */
export class NotForThisKey extends Data.TaggedError("NotForThisKey")<{
  readonly file: string
  /** A clause: "it is not encrypted to this identity". */
  readonly detail: string
}> {
  override get message(): string {
    return `${this.file}: ${this.detail}`
  }
}

/** A public key that nobody can have: what is written to it everybody could read. */
export class RecipientRefused extends Data.TaggedError("RecipientRefused")<{
  readonly recipient: string
  readonly detail: string
}> {
  override get message(): string {
    return `${this.recipient}: ${this.detail}`
  }
}

/** A file cannot be read, or changed while it was read. */
export class FileUnreadable extends Data.TaggedError("FileUnreadable")<{
  readonly file: string
  readonly detail: string
}> {
  override get message(): string {
    return `${this.file}: ${this.detail}`
  }
}

/** A file cannot be written. Nothing stands under its name that did not before. */
export class FileUnwritable extends Data.TaggedError("FileUnwritable")<{
  readonly file: string
  readonly detail: string
}> {
  override get message(): string {
    return `${this.file}: ${this.detail}; nothing was written there`
  }
}

/** Something stands where the output would go. */
export class FileExists extends Data.TaggedError("FileExists")<{ readonly file: string }> {
  override get message(): string {
    return `${this.file} already exists; name another file, or replace it with --overwrite`
  }
}

/** Every way in which a file is not what was encrypted. */
export type DamagedError = NotEncrypted | FileFromNewer | FileTampered | FileTruncated
