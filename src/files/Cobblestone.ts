// c2sp.org/chunked-encryption, its two named instantiations. Pure: keys and bytes, no input or output.
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  randomBytes,
  timingSafeEqual,
  type KeyObject
} from "node:crypto"

/** "Message chunking": each chunk but the last has this many bytes of plaintext, the last fewer. */
export const chunkBytes = 16_384
export const tagBytes = 16
export const sealedChunkBytes = chunkBytes + tagBytes
export const saltBytes = 24
const commitmentBytes = 32
const nonceBytes = 12
/** What stands before the first chunk: salt and commitment. */
export const prefixBytes = saltBytes + commitmentBytes
/** No chunk has this number or a higher one. */
export const maxChunks = 2 ** 38

/** An instantiation: the hash is SHA-512 in both. */
export interface Cobblestone {
  readonly name: string
  /** As the IANA registry calls it. */
  readonly aead: string
  /** As node:crypto calls it. */
  readonly cipher: "aes-128-gcm" | "aes-256-gcm"
  readonly keyBytes: number
}

export const Cobblestone256: Cobblestone = {
  name: "Cobblestone-256",
  aead: "AEAD_AES_256_GCM",
  cipher: "aes-256-gcm",
  keyBytes: 32
}

/** For its vectors, and for files of others; Sealwire writes none. */
export const Cobblestone128: Cobblestone = {
  name: "Cobblestone-128",
  aead: "AEAD_AES_128_GCM",
  cipher: "aes-128-gcm",
  keyBytes: 16
}

/** The keys of one message. */
export interface MessageKeys {
  readonly cipher: Cobblestone["cipher"]
  readonly key: KeyObject
  readonly baseNonce: Uint8Array
}

/** A message that is to be written: it begins with `prefix`, salt and commitment. */
export interface Message {
  readonly keys: MessageKeys
  readonly prefix: Uint8Array
}

export interface MessageOptions {
  readonly cobblestone?: Cobblestone
  /** For vectors; else 24 random bytes. It never comes again with a key. */
  readonly salt?: Uint8Array
}

/** A new message under an input key of `keyBytes`, uniformly random. Its chunks are sealed once. */
export const beginMessage = (
  inputKey: Uint8Array,
  context: Uint8Array,
  { cobblestone = Cobblestone256, salt = randomBytes(saltBytes) }: MessageOptions = {}
): Message => {
  const { commitment, ...keys } = derive(cobblestone, inputKey, salt, context)
  return { keys, prefix: Buffer.concat([salt, commitment]) }
}

/** The keys of the message that begins with this prefix of 56 bytes; undefined when the commitment is not that of key and context. */
export const resumeMessage = (
  inputKey: Uint8Array,
  context: Uint8Array,
  prefix: Uint8Array,
  cobblestone: Cobblestone = Cobblestone256
): MessageKeys | undefined => {
  const { commitment, ...keys } = derive(
    cobblestone,
    inputKey,
    prefix.subarray(0, saltBytes),
    context
  )
  return timingSafeEqual(commitment, prefix.subarray(saltBytes, prefixBytes)) ? keys : undefined
}

/** "Key derivation". */
const derive = (
  { aead, cipher, keyBytes }: Cobblestone,
  inputKey: Uint8Array,
  salt: Uint8Array,
  context: Uint8Array
) => {
  if (inputKey.length !== keyBytes)
    throw new TypeError(`a key of ${aead} has ${keyBytes} bytes, not ${inputKey.length}`)
  if (salt.length !== saltBytes)
    throw new TypeError(`a salt has ${saltBytes} bytes, not ${salt.length}`)
  const info = Buffer.concat([
    Buffer.from(`c2sp.org/chunked-encryption@v1+${aead}\0`),
    salt,
    context
  ])
  const output = expand(inputKey, info, keyBytes + nonceBytes + commitmentBytes)
  const keys = {
    cipher,
    key: createSecretKey(output.subarray(0, keyBytes)),
    baseNonce: Buffer.from(output.subarray(keyBytes, keyBytes + nonceBytes)),
    commitment: Buffer.from(output.subarray(keyBytes + nonceBytes))
  }
  output.fill(0)
  return keys
}

/** HKDF-Expand with SHA-512, RFC 5869 section 2.3; node:crypto has it only together with Extract. */
const expand = (prk: Uint8Array, info: Uint8Array, length: number): Buffer => {
  const blocks: Array<Buffer> = []
  for (let counter = 1; blocks.length * 64 < length; counter++)
    blocks.push(
      createHmac("sha512", prk)
        .update(blocks.at(-1) ?? Buffer.alloc(0))
        .update(info)
        .update(Buffer.of(counter))
        .digest()
    )
  const output = Buffer.concat(blocks, length)
  for (const block of blocks) block.fill(0)
  return output
}

/** "AEAD usage": the base nonce XOR the number of the chunk. */
const nonceOf = ({ baseNonce }: MessageKeys, index: number): Buffer => {
  if (!Number.isInteger(index) || index < 0 || index >= maxChunks)
    throw new RangeError(`there is no chunk ${index}`)
  const nonce = Buffer.from(baseNonce)
  const low = index % 2 ** 32
  const high = (index - low) / 2 ** 32
  nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ low) >>> 0, 8)
  nonce.writeUInt32BE((nonce.readUInt32BE(4) ^ high) >>> 0, 4)
  return nonce
}

/** node:crypto gives new memory for each update: in halves of a chunk a third less of it lies about. */
const updateBytes = chunkBytes / 2

const gcm = { authTagLength: tagBytes }

/**
 * Writes a chunk, 16 bytes longer than `plaintext`, at `offset` of `target`, and gives its end. An index is sealed once under one key,
 * ever: two plaintexts under one nonce tell both. `Sealer` and `Job` see to that.
 */
export const sealChunk = (
  keys: MessageKeys,
  index: number,
  plaintext: Uint8Array,
  target: Buffer,
  offset: number
): number => {
  const cipher = createCipheriv(keys.cipher, keys.key, nonceOf(keys, index), gcm)
  let end = offset
  for (let at = 0; at < plaintext.length; at += updateBytes) {
    const sealed = cipher.update(plaintext.subarray(at, at + updateBytes))
    target.set(sealed, end)
    end += sealed.length
  }
  cipher.final()
  target.set(cipher.getAuthTag(), end)
  return end + tagBytes
}

/** Writes the plaintext of a chunk at `offset` of `target` and gives its end; -1 when it does not open, and what was written is nothing. */
export const openChunk = (
  keys: MessageKeys,
  index: number,
  sealed: Uint8Array,
  target: Buffer,
  offset: number
): number => {
  if (sealed.length < tagBytes) return -1
  const decipher = createDecipheriv(keys.cipher, keys.key, nonceOf(keys, index), gcm)
  const end = sealed.length - tagBytes
  decipher.setAuthTag(sealed.subarray(end))
  for (let at = 0; at < end; at += updateBytes)
    target.set(decipher.update(sealed.subarray(at, Math.min(at + updateBytes, end))), offset + at)
  try {
    decipher.final()
  } catch {
    target.fill(0, offset, offset + end)
    return -1
  }
  return offset + end
}

/** The bytes of chunks that so many bytes of plaintext make. */
export const sealedLength = (plaintextBytes: number): number =>
  plaintextBytes + (Math.floor(plaintextBytes / chunkBytes) + 1) * tagBytes

/** The bytes of plaintext in so many bytes of chunks; undefined when no message has that many: it was cut off. */
export const plaintextLength = (chunksBytes: number): number | undefined => {
  const last = chunksBytes % sealedChunkBytes
  return last < tagBytes
    ? undefined
    : chunksBytes - (Math.floor(chunksBytes / sealedChunkBytes) + 1) * tagBytes
}
