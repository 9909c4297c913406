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
 * Frees the whole ArrayBuffer of the bytes. Only for memory to which the caller has the only
 * references.
 */
export const release = ({ buffer }: Uint8Array): void => {
  if (buffer.byteLength < minBytes || !(buffer instanceof ArrayBuffer)) return
  free ??= findFree()
  try {
    free(buffer)
  } catch {
    // Buffer's pool, which other buffers share, is marked untransferable. From Node 22 on it is as
    // large as the chunks that a socket reads, so the length alone does not exclude it.
  }
}
