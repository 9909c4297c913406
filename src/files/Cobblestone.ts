// The two named instantiations of c2sp.org/chunked-encryption. Pure. Phrases in quotes are its
// section titles.
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  randomBytes,
  timingSafeEqual,
  type KeyObject
} from "node:crypto"

/** "Message chunking": bytes of plaintext in every chunk but the last, which has fewer. */
export const chunkBytes = 16_384
export const tagBytes = 16
export const sealedChunkBytes = chunkBytes + tagBytes
export const saltBytes = 24
const commitmentBytes = 32
const nonceBytes = 12
/** Length of the part before the first chunk: salt and commitment. */
export const prefixBytes = saltBytes + commitmentBytes
/** Maximum number of chunks in a message. */
export const maxChunks = 2 ** 38

/** An instantiation. The hash is SHA-512 in both. */
export interface Cobblestone {
  readonly name: string
  /** The name in the IANA AEAD registry. */
  readonly aead: string
  /** The name in node:crypto. */
  readonly cipher: "aes-128-gcm" | "aes-256-gcm"
  readonly keyBytes: number
}

export const Cobblestone256: Cobblestone = {
  name: "Cobblestone-256",
  aead: "AEAD_AES_256_GCM",
  cipher: "aes-256-gcm",
  keyBytes: 32
}

/** For test vectors and other programs' files. Sealwire writes no such message. */
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

/** A message to be written. It begins with `prefix`: salt and commitment. */
export interface Message {
  readonly keys: MessageKeys
  readonly prefix: Uint8Array
}

export interface MessageOptions {
  readonly cobblestone?: Cobblestone
  /** For test vectors. Default: 24 random bytes. A salt must not repeat under one key. */
  readonly salt?: Uint8Array
}

/**
 * Begins a message under a uniformly random input key of `keyBytes` bytes. Each of its chunks must
 * be sealed only once.
 */
export const beginMessage = (
  inputKey: Uint8Array,
  context: Uint8Array,
  { cobblestone = Cobblestone256, salt = randomBytes(saltBytes) }: MessageOptions = {}
): Message => {
  const { commitment, ...keys } = derive(cobblestone, inputKey, salt, context)
  return { keys, prefix: Buffer.concat([salt, commitment]) }
}

/**
 * Derives the keys of the message that begins with this prefix of 56 bytes; undefined when the
 * commitment does not match the key and the context.
 */
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

/** HKDF-Expand with SHA-512 (RFC 5869, section 2.3); node:crypto has it only with Extract. */
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

/** "AEAD usage": the base nonce XOR the index of the chunk. */
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

/**
 * node:crypto allocates the result of each update; half a chunk at a time leaves a third less
 * garbage.
 */
const updateBytes = chunkBytes / 2

const gcm = { authTagLength: tagBytes }

/**
 * Seals a chunk into `target` at `offset` and returns its end; it is 16 bytes longer than the
 * plaintext. An index must be sealed only once under one key: two plaintexts under one nonce reveal
 * their XOR and the authentication key (NIST SP 800-38D, appendix A). `Sealer` and `ChunkJob`
 * ensure it.
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

/**
 * Opens a chunk into `target` at `offset` and returns the end of its plaintext; -1 when it is not
 * authentic, and then the written bytes are zeroed.
 */
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

/** Returns the length of all chunks for a length of plaintext. */
export const sealedLength = (plaintextBytes: number): number =>
  plaintextBytes + (Math.floor(plaintextBytes / chunkBytes) + 1) * tagBytes

/**
 * Returns the length of the plaintext for a length of all chunks; undefined when no message has
 * that length because its end is missing.
 */
export const plaintextLength = (chunksBytes: number): number | undefined => {
  const last = chunksBytes % sealedChunkBytes
  return last < tagBytes
    ? undefined
    : chunksBytes - (Math.floor(chunksBytes / sealedChunkBytes) + 1) * tagBytes
}
