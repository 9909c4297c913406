// Standard input, output and error of the process as streams, for every kind of descriptor.
import {
  createReadStream,
  fstatSync,
  readFileSync,
  readlinkSync,
  writeSync,
  type Stats
} from "node:fs"
import net from "node:net"
import { Readable, Writable } from "node:stream"
import { isatty } from "node:tty"

/** Returns the stats of a descriptor; undefined if it is not open. */
export const statsOf = (descriptor: number): Stats | undefined => {
  try {
    return fstatSync(descriptor)
  } catch {
    return undefined
  }
}

/**
 * True if the process was started without this descriptor (`<&-`, `>&-`), so that nothing is read
 * and everything written is lost. Node then opens /dev/null for reading and writing, as do programs
 * that start others without an input or output; `< /dev/null` and `> /dev/null` open it for one of
 * the two and count as open. Only Linux tells the flags; elsewhere the result is always false.
 */
export const isClosed = (descriptor: number): boolean => {
  try {
    return (
      readlinkSync(`/proc/self/fd/${descriptor}`) === "/dev/null" &&
      accessMode(descriptor) === readAndWrite
    )
  } catch {
    return false
  }
}

const [writeOnly, readAndWrite] = ["1", "2"]

/** The last octal digit of the flags: 0 for O_RDONLY, 1 for O_WRONLY, 2 for O_RDWR. */
const accessMode = (descriptor: number): string | undefined =>
  /^flags:\s*[0-7]*([0-7])$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, "utf8"))?.[1]

const isWriteOnly = (descriptor: number): boolean => {
  try {
    return accessMode(descriptor) === writeOnly
  } catch {
    return false
  }
}

/** Returns a clause that tells why nothing can be read from the stream; undefined if it can. */
export const inputProblem = (stream: Readable, descriptor: number): string | undefined => {
  const stats = statsOf(descriptor)
  if (stats === undefined || isClosed(descriptor)) return "is closed; give it a file or a pipe"
  if (stats.isDirectory()) return "is a directory; name a file"
  if (isWriteOnly(descriptor)) return "is open for writing only; give it a file or a pipe"
  // A datagram socket has no end, and a read loses the rest of a long datagram.
  return stats.isSocket() && !(stream instanceof net.Socket)
    ? "is a datagram socket, which is no stream of bytes; give it a file or a pipe"
    : undefined
}

/**
 * Returns standard input. For a block device Node has a stream that is empty; this one reads it.
 * Node starts to read standard input when a program first uses `process.stdin`.
 */
export const standardInput = (): Readable & { readonly isTTY?: boolean } => {
  device ??= statsOf(0)?.isBlockDevice() === true ? createReadStream("", deviceOptions) : null
  return device ?? process.stdin
}

const deviceOptions = { fd: 0, autoClose: false }
let device: Readable | null | undefined

/** A stream that may be a terminal. */
type Output = Writable & { readonly isTTY?: boolean }

/**
 * Returns the stream of Node for a terminal, a pipe and a stream socket, else a DescriptorWriter:
 * for a block device or a datagram socket Node has a stream that discards all bytes, and for a file
 * one that drops the rest of a partial write.
 */
const standardWritable = (descriptor: 1 | 2, stream: () => Output) => {
  const isStream = (): boolean => {
    const stats = statsOf(descriptor)
    if (stats === undefined || isatty(descriptor) || stats.isFIFO()) return true
    return stats.isSocket() && stream() instanceof net.Socket
  }
  let writable: Output | undefined
  return (): Output => (writable ??= isStream() ? stream() : new DescriptorWriter(descriptor))
}

export const standardOutput = standardWritable(1, () => process.stdout)
export const standardError = standardWritable(2, () => process.stderr)

/** Writes to a descriptor, synchronously as Node writes to files: all bytes, or with an error. */
class DescriptorWriter extends Writable {
  constructor(descriptor: 1 | 2) {
    super({
      write: (chunk: Buffer, _, done) => {
        try {
          for (let start = 0; start < chunk.length;) start += writeSync(descriptor, chunk, start)
          done()
        } catch (error) {
          // A log goes on: the disk may have space again.
          done(descriptor === 2 ? null : (error as Error))
        }
      }
    })
  }
}
