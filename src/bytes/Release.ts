// Frees large buffers explicitly. Leaving them to the garbage collector costs a third of a flow's
// CPU time: every 64 MiB of buffers trigger a full collection of the heap. Memory that is freed at
// once is reused by malloc while it is still in the CPU cache.

/** Minimum length of a buffer that is worth the call. */
const minBytes = 16 * 1024

type Free = (buffer: ArrayBuffer) => void

type Transfer = (this: ArrayBuffer, length: number) => ArrayBuffer

/**
 * Uses ArrayBuffer.prototype.transfer (ES2024). Node 20 lacks it: there, a message to a closed port
 * transfers the memory and discards it.
 */
const findFree = (): Free => {
  const { transfer } = ArrayBuffer.prototype as { readonly transfer?: Transfer }
  if (transfer !== undefined) return (buffer) => void transfer.call(buffer, 0)
  const { port1 } = new MessageChannel()
  port1.close()
  return (buffer) => port1.postMessage(undefined, [buffer])
}

let free: Free | undefined

/**
 * The memory that may be freed. A length tells nothing: `Buffer.poolSize` can be set, and Node 22
 * transfers even its pool, which is marked untransferable.
 */
const owned = new WeakSet<ArrayBufferLike>()

/**
 * Marks the memory of bytes that were just made for this program, and returns them: what a cipher
 * has returned, or a socket has read. Bytes that share their memory, as those of Buffer's pool do,
 * are not marked.
 */
export const own = <Bytes extends Uint8Array>(bytes: Bytes): Bytes => {
  const { buffer } = bytes
  if (buffer.byteLength >= minBytes && bytes.length === buffer.byteLength) owned.add(buffer)
  return bytes
}

/**
 * Frees the whole ArrayBuffer of the bytes, which may be a part of it, if it is marked; otherwise
 * does nothing. The caller has the only references.
 */
export const release = ({ buffer }: Uint8Array): void => {
  if (buffer.byteLength >= minBytes && owned.delete(buffer)) freeNow(buffer)
}

/** Does `own` and `release` at once, for bytes that were just made and are already used. */
export const discard = ({ buffer, length }: Uint8Array): void => {
  if (length >= minBytes && length === buffer.byteLength) freeNow(buffer)
}

const freeNow = (buffer: ArrayBufferLike): void => {
  if (!(buffer instanceof ArrayBuffer)) return
  free ??= findFree()
  free(buffer)
}
