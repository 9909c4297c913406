// Memory of large buffers, given back when they are done with. Collected, it is: a third of a flow's time goes into that, for each 64 MiB
// of buffers is a full collection of the heap. SPEED: freed at once, malloc hands the same warm pages out again.

/** Below it a buffer is not worth the call. */
const minBytes = 16 * 1024

type Free = (buffer: ArrayBuffer) => void

type Transfer = (this: ArrayBuffer, length: number) => ArrayBuffer

/** ES2024 has a word for it. Node 20 has not: there a message to a port that is closed takes the memory along, and nobody gets it. */
const find = (): Free => {
  const { transfer } = ArrayBuffer.prototype as { readonly transfer?: Transfer }
  if (transfer !== undefined) return (buffer) => void transfer.call(buffer, 0)
  const { port1 } = new MessageChannel()
  port1.close()
  return (buffer) => port1.postMessage(undefined, [buffer])
}

let free: Free | undefined

/** The bytes, and all that lies in the same memory, are gone. Only for memory that the caller alone knows of. */
export const release = ({ buffer }: Uint8Array): void => {
  if (buffer.byteLength < minBytes || !(buffer instanceof ArrayBuffer)) return
  free ??= find()
  try {
    free(buffer)
  } catch {
    // The pool of Buffer, where others lie, is marked: from Node 22 on it is as large as what a socket gives.
  }
}
