import { allSuites, type Suite } from "./Suite.ts"

/** PROTOCOL.md section 3: magic(4) version(1) suite(1) flags(1) = 0 reserved(1) = 0. */
export const helloBytes = 8
const magic = Buffer.from("SLWR")
const version = 1

export const encode = (suite: Suite): Uint8Array =>
  Buffer.concat([magic, Buffer.from([version, suite.id, 0, 0])])

/** The suite, or undefined when any of the eight bytes is not as it must be. */
export const decode = (hello: Uint8Array): Suite | undefined => {
  const named = allSuites.find(({ id }) => id === hello[5])
  return named !== undefined && Buffer.compare(encode(named), hello) === 0 ? named : undefined
}

/** How long the first message is that follows this hello; of an unknown suite, as long as the shortest. */
export const firstLength = (hello: Uint8Array): number =>
  allSuites.find(({ id }) => id === hello[5])?.lengths[0] ??
  Math.min(...allSuites.map(({ lengths }) => lengths[0]))

const label = Buffer.from("sealwire noise v1\0")

/** PROTOCOL.md section 4: label | hello | u16-length server name | u16-length application protocol. */
export const prologue = (hello: Uint8Array, serverName: string, application: string): Uint8Array =>
  Buffer.concat([label, hello, prefixed(serverName), prefixed(application)])

const prefixed = (text: string): Uint8Array => {
  const bytes = Buffer.from(text)
  const length = Buffer.alloc(2)
  length.writeUInt16BE(bytes.length)
  return Buffer.concat([length, bytes])
}
