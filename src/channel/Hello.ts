import * as Utf8 from "../bytes/Utf8.ts"
import { allSuites, type Suite } from "./Suite.ts"

/**
 * Length of the hello, in bytes: magic(4) | version(1) | suite(1) | flags(1) = 0 | reserved(1) = 0.
 * PROTOCOL.md section 3.
 */
export const helloBytes = 8
const magic = Buffer.from("SLWR")
const version = 1

/** Encodes the hello of a suite. */
export const encode = (suite: Suite): Uint8Array =>
  Buffer.concat([magic, Buffer.from([version, suite.id, 0, 0])])

/** Returns the suite that a hello names; undefined unless all eight bytes are valid. */
export const decode = (hello: Uint8Array): Suite | undefined => {
  const suite = allSuites.find(({ id }) => id === hello[5])
  return suite !== undefined && Buffer.compare(encode(suite), hello) === 0 ? suite : undefined
}

/**
 * Returns the length of the message 1 that follows this hello; for an unknown suite, that of the
 * shortest one.
 */
export const firstMessageLength = (hello: Uint8Array): number =>
  allSuites.find(({ id }) => id === hello[5])?.lengths[0] ??
  Math.min(...allSuites.map(({ lengths }) => lengths[0]))

const label = Buffer.from("sealwire noise v1\0")

/**
 * Returns the Noise prologue: label | hello | u16 length, server name | u16 length, application
 * protocol. PROTOCOL.md section 4. Throws a RangeError for a text that UTF-8 cannot encode.
 */
export const prologue = (hello: Uint8Array, serverName: string, application: string): Uint8Array =>
  Buffer.concat([label, hello, prefixed(serverName), prefixed(application)])

const prefixed = (text: string): Uint8Array => {
  const bytes = Utf8.encode(text)
  const length = Buffer.alloc(2)
  length.writeUInt16BE(bytes.length)
  return Buffer.concat([length, bytes])
}
