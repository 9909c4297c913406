// Memory of large buffers, given back when they are done with. Collected, it is: a third of a flow's time goes into that, for each 64 MiB
// of buffers is a full collection of the heap. SPEED: freed at once, malloc hands the same warm pages out again.
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

/** Below it a buffer is not worth the call, and may lie in the pool of others. */
const least = 16 * 1024

type Transfer = (this: ArrayBuffer, length: number) => ArrayBuffer

const find = (): Transfer | undefined => {
  const own = (ArrayBuffer.prototype as { readonly transfer?: Transfer }).transfer
  if (own !== undefined) return own
  try {
    // Node 20 has it behind a flag of V8 (11.3; on by default from 11.4 on), for contexts that are made from then on.
    setFlagsFromString("--harmony-rab-gsab-transfer")
    return runInNewContext("ArrayBuffer.prototype.transfer") as Transfer | undefined
  } catch {
    return undefined
  }
}

let transfer: Transfer | undefined
let looked = false

/** The bytes, and all that lies in the same memory, are gone. Only for memory that the caller alone knows of. */
export const release = ({ buffer }: Uint8Array): void => {
  if (buffer.byteLength < least || !(buffer instanceof ArrayBuffer)) return
  if (!looked) {
    looked = true
    transfer = find()
  }
  transfer?.call(buffer, 0)
}
