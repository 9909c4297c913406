import * as Data from "effect/Data"
import { shown } from "../bytes/excerpt.ts"

/** The file does not start with the magic of an encrypted file. */
export class NotEncrypted extends Data.TaggedError("NotEncrypted")<{ readonly file: string }> {
  override get message(): string {
    return `${shown(this.file)}: not a Sealwire encrypted file (unrecognised header)`
  }
}

/** The file has a later version of the format than this program supports. */
export class FileFromNewer extends Data.TaggedError("FileFromNewer")<{
  readonly file: string
  readonly version: number
}> {
  override get message(): string {
    return `${shown(this.file)}: has version ${this.version} of the file format, which is not supported (1 is), or its first bytes were changed; update sealwire`
  }
}

/**
 * The file was changed, or assembled from parts of several files. Output before it is authentic.
 */
export class FileTampered extends Data.TaggedError("FileTampered")<{
  readonly file: string
  /** A clause: "its header was changed". */
  readonly detail: string
}> {
  override get message(): string {
    return `${shown(this.file)}: ${this.detail}; get it again or restore a backup`
  }
}

/** The end of the file is missing. Output before it is authentic. */
export class FileTruncated extends Data.TaggedError("FileTruncated")<{ readonly file: string }> {
  override get message(): string {
    return `${shown(this.file)}: truncated: its end is missing; get it again or restore a backup`
  }
}

/** The given key unwraps none of the file's stanzas. */
export class NotForThisKey extends Data.TaggedError("NotForThisKey")<{
  readonly file: string
  /** A clause: "it is not encrypted to this identity". */
  readonly detail: string
}> {
  override get message(): string {
    return `${shown(this.file)}: ${this.detail}`
  }
}

/**
 * The public key has low order (RFC 7748, section 6.1): everyone could read a file encrypted to it.
 * Or the number of recipients is out of bounds.
 */
export class RecipientRefused extends Data.TaggedError("RecipientRefused")<{
  readonly recipient: string
  readonly detail: string
}> {
  override get message(): string {
    return `${shown(this.recipient)}: ${this.detail}`
  }
}

/** A file cannot be read, or changed while it was read. */
export class FileUnreadable extends Data.TaggedError("FileUnreadable")<{
  readonly file: string
  readonly detail: string
}> {
  override get message(): string {
    return `${shown(this.file)}: ${this.detail}`
  }
}

/** A file cannot be written. Its name is unchanged: it has its old content or does not exist. */
export class FileUnwritable extends Data.TaggedError("FileUnwritable")<{
  readonly file: string
  readonly detail: string
  /**
   * An error code of the system ("ENOSPC"), or "dangling": a link without a regular file behind it.
   */
  readonly code?: string
}> {
  override get message(): string {
    return `${shown(this.file)}: ${this.detail}; nothing was written there`
  }
}

/** The output file exists already. */
export class FileExists extends Data.TaggedError("FileExists")<{ readonly file: string }> {
  override get message(): string {
    return `${shown(this.file)} already exists; choose another name`
  }
}

/** Every error of a file that is not what was encrypted. */
export type DamagedError = NotEncrypted | FileFromNewer | FileTampered | FileTruncated
