import { createCipheriv, createDecipheriv, type KeyObject, createSecretKey } from "node:crypto"
import { discard, own } from "../bytes/Release.ts"
import type { NoiseError } from "./NoiseError.ts"

/** Length of the authentication tag of AES-256-GCM, in bytes. Section 12.4. */
export const tagLen = 16
/** Length of a cipher key, in bytes. Section 4.2. */
export const keyLen = 32

/** Length limit of a Noise message, in bytes. Section 3. */
export const maxMessageBytes = 65_535

const maxUint32 = 0xffff_ffff
// Without authTagLength Node also accepts tags of 4 bytes.
const gcmOptions = { authTagLength: tagLen }

/** 32 zero bits, then `n` as 64-bit big-endian (section 12.4). node:crypto copies it. */
const nonceOfCall = Buffer.alloc(12)

/**
 * CipherState, section 5.1: a cipher key `k` and a nonce `n`, which are never copied. After an
 * error every further call fails.
 */
export class CipherState {
  #k: KeyObject
  /** `n`, in two halves: a buffer for each state would be most of its memory. */
  #high = 0
  #low = 0
  #ended = false

  /** InitializeKey(key): `key` must have 32 bytes. */
  constructor(key: Uint8Array) {
    if (key.length !== keyLen)
      throw new TypeError(`a Noise cipher key has 32 bytes, not ${key.length}`)
    this.#k = createSecretKey(key)
  }

  /** n: the number of messages encrypted or decrypted. */
  get n(): bigint {
    return (BigInt(this.#high) << 32n) | BigInt(this.#low)
  }

  /** SetNonce(nonce). */
  setNonce(nonce: bigint): void {
    this.#high = Number(nonce >> 32n)
    this.#low = Number(nonce & 0xffff_ffffn)
  }

  /** EncryptWithAd(ad, plaintext): returns the ciphertext followed by the tag. */
  encryptWithAd(ad: Uint8Array, plaintext: Uint8Array): Uint8Array | NoiseError {
    const ciphertext = Buffer.allocUnsafe(plaintext.length + tagLen)
    return this.encryptInto(ciphertext, 0, ad, [plaintext]) ?? ciphertext
  }

  /**
   * EncryptWithAd for a plaintext in parts. Writes ciphertext and tag at `offset` of `target`,
   * which must have room for both.
   */
  encryptInto(
    target: Buffer,
    offset: number,
    ad: Uint8Array,
    plaintext: ReadonlyArray<Uint8Array>
  ): NoiseError | undefined {
    const error = this.#check(plaintext.reduce((sum, { length }) => sum + length, tagLen))
    if (error !== undefined) return error
    const cipher = createCipheriv("aes-256-gcm", this.#k, this.#nonce(), gcmOptions)
    if (ad.length > 0) cipher.setAAD(ad)
    let end = offset
    for (const part of plaintext) {
      const ciphertext = cipher.update(part)
      target.set(ciphertext, end)
      discard(ciphertext)
      end += part.length
    }
    cipher.final()
    target.set(cipher.getAuthTag(), end)
    this.#advance()
    return undefined
  }

  /** DecryptWithAd(ad, ciphertext). On "decrypt failed" n does not advance. Section 5.1. */
  decryptWithAd(ad: Uint8Array, ciphertext: Uint8Array): Uint8Array | NoiseError {
    const error = this.#check(ciphertext.length)
    if (error !== undefined) return error
    if (ciphertext.length < tagLen) return this.#end("too short")
    const decipher = createDecipheriv("aes-256-gcm", this.#k, this.#nonce(), gcmOptions)
    if (ad.length > 0) decipher.setAAD(ad)
    decipher.setAuthTag(ciphertext.subarray(ciphertext.length - tagLen))
    const plaintext = own(decipher.update(ciphertext.subarray(0, ciphertext.length - tagLen)))
    try {
      decipher.final()
    } catch {
      return this.#end("decrypt failed")
    }
    this.#advance()
    return plaintext
  }

  /**
   * Rekey(), sections 4.2 and 11.3: sets k to the first 32 bytes of ENCRYPT(k, 2^64-1, "", zeros).
   * n does not change.
   */
  rekey(): void {
    const nonce = Buffer.alloc(12, 0xff)
    nonce.fill(0, 0, 4)
    const next = createCipheriv("aes-256-gcm", this.#k, nonce, gcmOptions).update(
      Buffer.alloc(keyLen)
    )
    this.#k = createSecretKey(next)
    next.fill(0)
  }

  /** The AES-GCM nonce of the next message, valid until the next call on any state. */
  #nonce(): Buffer {
    nonceOfCall.writeUInt32BE(this.#high, 4)
    nonceOfCall.writeUInt32BE(this.#low, 8)
    return nonceOfCall
  }

  /** Checks, before a message of this length, that the state can be used. */
  #check(length: number): NoiseError | undefined {
    if (this.#ended) return "out of turn"
    if (length > maxMessageBytes) return this.#end("too long")
    const exhausted = this.#low === maxUint32 && this.#high === maxUint32
    return exhausted ? this.#end("nonce exhausted") : undefined
  }

  #advance(): void {
    if (this.#low < maxUint32) this.#low++
    else this.setNonce(this.n + 1n)
  }

  #end(error: NoiseError): NoiseError {
    this.#ended = true
    return error
  }
}
