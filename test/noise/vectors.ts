// Runs Noise test vectors in the format of flynn/noise and in that of cacophony and snow.
import { Secret } from "../../src/bytes/Secret.ts"
import { fromPrivate, type KeyPair } from "../../src/keys/KeyPair.ts"
import { HandshakeState, type TransportKeys } from "../../src/noise/HandshakeState.ts"
import { algorithms, parseProtocol } from "../../src/noise/Protocol.ts"

type Fields = Readonly<Record<string, unknown>>

interface Side {
  readonly prologue: string
  readonly s: string | undefined
  readonly e: string | undefined
  readonly rs: string | undefined
  readonly psks: ReadonlyArray<string>
}

export interface Vector {
  readonly name: string
  readonly init: Side
  readonly resp: Side
  readonly messages: ReadonlyArray<{ readonly payload: string; readonly ciphertext: string }>
  readonly handshakeHash: string | undefined
  /** The side that writes the first transport message: the initiator, or the side of that index. */
  readonly afterwards: "initiator first" | "by index"
}

const text = (fields: Fields, name: string): string | undefined =>
  fields[name] as string | undefined

const list = (fields: Fields, name: string): ReadonlyArray<string> =>
  (fields[name] as ReadonlyArray<string> | undefined) ?? []

const publicOf = (secret: string | undefined): string | undefined =>
  secret === undefined ? undefined : Buffer.from(pair(secret).publicKey).toString("hex")

const pair = (secret: string): KeyPair => fromPrivate(new Secret(Buffer.from(secret, "hex")))

const ofFlynn = (fields: Fields): Vector => {
  const prologue = text(fields, "prologue") ?? ""
  const psk = text(fields, "preshared_key")
  const psks = psk === undefined ? [] : [psk]
  const [initStatic, respStatic] = [text(fields, "init_static"), text(fields, "resp_static")]
  const side = (s: string | undefined, e: string | undefined, rs: string | undefined): Side => ({
    prologue,
    s,
    e,
    rs,
    psks
  })
  const count = Object.keys(fields).filter((field) => /^msg_\d+_ciphertext$/.test(field)).length
  return {
    name: text(fields, "handshake") ?? "",
    init: side(initStatic, text(fields, "gen_init_ephemeral"), publicOf(respStatic)),
    resp: side(respStatic, text(fields, "gen_resp_ephemeral"), publicOf(initStatic)),
    messages: Array.from({ length: count }, (_, index) => ({
      payload: text(fields, `msg_${index}_payload`) ?? "",
      ciphertext: text(fields, `msg_${index}_ciphertext`) ?? ""
    })),
    handshakeHash: undefined,
    afterwards: "initiator first"
  }
}

const ofCacophony = (fields: Fields): Vector => {
  const side = (who: "init" | "resp"): Side => ({
    prologue: text(fields, `${who}_prologue`) ?? "",
    s: text(fields, `${who}_static`),
    e: text(fields, `${who}_ephemeral`),
    rs: text(fields, `${who}_remote_static`),
    psks: list(fields, `${who}_psks`)
  })
  return {
    name: text(fields, "protocol_name") ?? text(fields, "name") ?? "",
    init: side("init"),
    resp: side("resp"),
    messages: fields.messages as Vector["messages"],
    handshakeHash: text(fields, "handshake_hash"),
    afterwards: "by index"
  }
}

/** Parses the vectors of a file in either format. */
export const parse = (json: string): ReadonlyArray<Vector> =>
  (JSON.parse(json) as { vectors: ReadonlyArray<Fields> }).vectors.map((fields) =>
    "messages" in fields ? ofCacophony(fields) : ofFlynn(fields)
  )

/** Returns true for a vector with the supported algorithms. */
export const isOurs = ({ name }: Vector): boolean => name.endsWith(`_${algorithms}`)

/** Runs a vector on both sides. Returns the first difference, or undefined. */
export const run = (vector: Vector): string | undefined => {
  const found = parseProtocol(vector.name)
  if (found === undefined) return "this protocol is not known"
  const handshake = (side: Side, initiator: boolean) =>
    new HandshakeState({
      protocol: found,
      initiator,
      prologue: Buffer.from(side.prologue, "hex"),
      psks: side.psks.slice(0, found.psks).map((psk) => new Secret(Buffer.from(psk, "hex"))),
      ...(side.s === undefined ? {} : { s: pair(side.s) }),
      ...(side.e === undefined ? {} : { e: pair(side.e) }),
      ...(side.rs === undefined ? {} : { rs: Buffer.from(side.rs, "hex") })
    })
  const init = handshake(vector.init, true)
  const resp = handshake(vector.resp, false)
  const length = found.pattern.messages.length
  let transports: readonly [TransportKeys, TransportKeys] | undefined
  for (const [index, message] of vector.messages.entries()) {
    const payload = Buffer.from(message.payload, "hex")
    if (index === length) {
      const [a, b] = [init.split(), resp.split()]
      if (typeof a === "string" || typeof b === "string")
        return `split refused: ${String(a)} ${String(b)}`
      transports = [a, b]
    }
    const turn = vector.afterwards === "initiator first" && index >= length ? index - length : index
    // flynn/noise also uses the second state of a one-way pattern, which Split() returns and
    // section 7.4 discards.
    const byInitiator = (found.pattern.oneWay && vector.afterwards === "by index") || turn % 2 === 0
    const none = new Uint8Array(0)
    const [write, read] = byInitiator ? [init, resp] : [resp, init]
    const sealed =
      transports === undefined
        ? write.writeMessage(payload)
        : transports[byInitiator ? 0 : 1].send.encryptWithAd(none, payload)
    if (typeof sealed === "string") return `message ${index} was not written: ${sealed}`
    if (Buffer.from(sealed).toString("hex") !== message.ciphertext)
      return `message ${index} differs`
    const opened =
      transports === undefined
        ? read.readMessage(sealed)
        : transports[byInitiator ? 1 : 0].receive.decryptWithAd(none, sealed)
    if (typeof opened === "string") return `message ${index} was not read: ${opened}`
    if (!Buffer.from(opened).equals(payload)) return `message ${index} opened as something else`
  }
  const hashes = [init, resp].map(({ handshakeHash }) => Buffer.from(handshakeHash).toString("hex"))
  if (hashes[0] !== hashes[1]) return "the two sides have different handshake hashes"
  if (vector.handshakeHash !== undefined && vector.handshakeHash !== hashes[0])
    return "the handshake hash differs"
  return undefined
}
