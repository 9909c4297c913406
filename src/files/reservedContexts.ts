import { magic } from "./Prelude.ts"

/**
 * The beginnings of the contexts of files with a header, now and later (FORMAT.md, section 1).
 * A user who may choose such a context could forge a header.
 */
const reserved = [Buffer.from("sealwire "), magic.subarray(0, 4)]

/** True for a context that no message without a header may have. */
export const isReserved = (context: Uint8Array): boolean =>
  reserved.some((beginning) => beginning.equals(context.subarray(0, beginning.length)))
