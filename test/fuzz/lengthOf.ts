import { LookUp } from "../../src/channel/HandshakeDriver.ts"

/** The number of bytes for which a step of a handshake waits. These handshakes look nobody up. */
export const lengthOf = ({ value }: { readonly value: unknown }): number => {
  if (typeof value === "number") return value
  throw new Error(value instanceof LookUp ? "a look-up" : "no step")
}
