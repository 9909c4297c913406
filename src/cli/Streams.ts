// The standard streams of the command: those of the process, or those of a caller of `run`.
import type { Readable, Writable } from "node:stream"
import * as Context from "effect/Context"
import { standardError, standardInput, standardOutput } from "../transports/standardStreams.ts"

export interface StandardStreams {
  /** Node starts to read standard input when a program first reads this property. */
  readonly stdin: Readable & { readonly isTTY?: boolean }
  readonly stdout: Writable & { readonly isTTY?: boolean }
  readonly stderr: Writable & { readonly isTTY?: boolean }
  /** Descriptors of the streams; undefined for a stream without one. */
  readonly descriptors: { readonly stdin: number; readonly stdout: number | undefined }
}

/** The standard streams of this process. */
export const processStreams: StandardStreams = {
  get stdin() {
    return standardInput()
  },
  get stdout() {
    return standardOutput()
  },
  get stderr() {
    return standardError()
  },
  descriptors: { stdin: 0, stdout: 1 }
}

/** The standard streams. Default: those of this process. */
export class Streams extends Context.Reference<Streams>()("sealwire/cli/Streams", {
  defaultValue: () => processStreams
}) {}
