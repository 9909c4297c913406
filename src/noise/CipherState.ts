import { createCipheriv, createDecipheriv, type KeyObject, createSecretKey } from "node:crypto"
import { release } from "../bytes/Release.ts"
import type { NoiseError } from "./NoiseError.ts"

/** Section 12.3: AES-256-GCM, nonce of 32 zero bits and the 64-bit big-endian n. */
export const tagLen = 16
export const keyLen = 32

/** Section 3. */
export const maxMessageBytes = 65_535

const maxWord = 0xffff_ffff
// Node takes 4-byte tags when it is not told the length.
const gcm = { authTagLength: tagLen }

/**
 * CipherState, section 5.1: a key and a counter that live here and are never copied. A refusal ends it.
 */
export class CipherState {
  #k: KeyObject
  /** 4 zero bytes, then n: the counter is kept where it is used. */
  readonly #nonce = Buffer.alloc(12)
  #ended = false

  /** InitializeKey(key): `key` has 32 bytes. */
  constructor(key: Uint8Array) {
    if (key.length !== keyLen)
      throw new TypeError(`a Noise cipher key has 32 bytes, not ${key.length}`)
    this.#k = createSecretKey(key)
  }

  /** n: how many messages it has sealed or opened. */
  get n(): bigint {
    return this.#nonce.readBigUInt64BE(4)
  }

  /** SetNonce(nonce). */
  setNonce(nonce: bigint): void {
    this.#nonce.writeBigUInt64BE(nonce, 4)
  }

  /** EncryptWithAd(ad, plaintext): ciphertext and tag in one. */
  encryptWithAd(ad: Uint8Array, plaintext: Uint8Array): Uint8Array | NoiseError {
    const sealed = Buffer.allocUnsafe(plaintext.length + tagLen)
    return this.encryptInto(sealed, 0, ad, [plaintext]) ?? sealed
  }

  /** As `encryptWithAd` for a plaintext in parts, written at `offset` of `target`, which has room for it and the tag. */
  encryptInto(
    target: Buffer,
    offset: number,
    ad: Uint8Array,
    plaintext: ReadonlyArray<Uint8Array>
  ): NoiseError | undefined {
    const refusal = this.#refusal(plaintext.reduce((sum, { length }) => sum + length, tagLen))
    if (refusal !== undefined) return refusal
    const cipher = createCipheriv("aes-256-gcm", this.#k, this.#nonce, gcm)
    if (ad.length > 0) cipher.setAAD(ad)
    let end = offset
    for (const part of plaintext) {
      const sealed = cipher.update(part)
      target.set(sealed, end)
      release(sealed)
      end += part.length
    }
    cipher.final()
    target.set(cipher.getAuthTag(), end)
    this.#advance()
    return undefined
  }

  /** DecryptWithAd(ad, ciphertext). When it does not open, n stays and the state has ended. */
  decryptWithAd(ad: Uint8Array, sealed: Uint8Array): Uint8Array | NoiseError {
    const refusal = this.#refusal(sealed.length)
    if (refusal !== undefined) return refusal
    if (sealed.length < tagLen) return this.#end("too short")
    const decipher = createDecipheriv("aes-256-gcm", this.#k, this.#nonce, gcm)
    if (ad.length > 0) decipher.setAAD(ad)
    decipher.setAuthTag(sealed.subarray(sealed.length - tagLen))
    const plaintext = decipher.update(sealed.subarray(0, sealed.length - tagLen))
    try {
      decipher.final()
    } catch {
      return this.#end("decrypt failed")
    }
    this.#advance()
    return plaintext
  }

  /** Rekey(), sections 4.2 and 11.3: k = ENCRYPT(k, 2^64-1, "", 32 zeros) cut to 32 bytes. n is not reset. */
  rekey(): void {
    const last = Buffer.alloc(12, 0xff)
    last.fill(0, 0, 4)
    const next = createCipheriv("aes-256-gcm", this.#k, last, gcm).update(Buffer.alloc(keyLen))
    this.#k = createSecretKey(next)
    next.fill(0)
  }

  #refusal(length: number): NoiseError | undefined {
    if (this.#ended) return "out of turn"
    if (length > maxMessageBytes) return this.#end("too long")
    const exhausted =
      this.#nonce.readUInt32BE(8) === maxWord && this.#nonce.readUInt32BE(4) === maxWord
    return exhausted ? this.#end("nonce exhausted") : undefined
  }

  #advance(): void {
    const low = this.#nonce.readUInt32BE(8)
    if (low < maxWord) this.#nonce.writeUInt32BE(low + 1, 8)
    else this.#nonce.writeBigUInt64BE(this.n + 1n, 4)
  }

  #end(refusal: NoiseError): NoiseError {
    this.#ended = true
    return refusal
  }
}
