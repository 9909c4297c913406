import { createHash, createHmac } from "node:crypto"
import { CipherState } from "./CipherState.ts"
import { isNoiseError, type NoiseError } from "./NoiseError.ts"

/** HASHLEN of SHA-256, in bytes. Section 12.5. */
export const hashLen = 32

const hash = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const sha256 = createHash("sha256")
  for (const part of parts) sha256.update(part)
  return sha256.digest()
}

const hmac = (key: Uint8Array, ...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const mac = createHmac("sha256", key)
  for (const part of parts) mac.update(part)
  return mac.digest()
}

const counters = [Buffer.from([1]), Buffer.from([2]), Buffer.from([3])] as const

/** HKDF(chaining_key, input_key_material, num_outputs). Section 4.3. */
const hkdf = (
  chainingKey: Uint8Array,
  inputKeyMaterial: Uint8Array,
  outputs: 2 | 3
): ReadonlyArray<Uint8Array> => {
  const tempKey = hmac(chainingKey, inputKeyMaterial)
  const output1 = hmac(tempKey, counters[0])
  const output2 = hmac(tempKey, output1, counters[1])
  return outputs === 2
    ? [output1, output2]
    : [output1, output2, hmac(tempKey, output2, counters[2])]
}

/** SymmetricState, section 5.2: the chaining key `ck`, the handshake hash `h` and a CipherState. */
export class SymmetricState {
  #ck: Uint8Array
  #h: Uint8Array
  /** The key of the CipherState; undefined before the first MixKey. */
  #k: Uint8Array | undefined
  /** Made when it is used first: every second key encrypts nothing. */
  #cipher: CipherState | undefined

  /** InitializeSymmetric(protocol_name). */
  constructor(protocolName: string) {
    const name = Buffer.from(protocolName)
    this.#h = name.length <= hashLen ? Buffer.concat([name], hashLen) : hash(name)
    this.#ck = this.#h
  }

  /** HasKey(): true after the first MixKey, when handshake data is encrypted. */
  get hasKey(): boolean {
    return this.#k !== undefined
  }

  /** MixKey(input_key_material). */
  mixKey(inputKeyMaterial: Uint8Array): void {
    const [ck, tempK] = hkdf(this.#ck, inputKeyMaterial, 2) as [Uint8Array, Uint8Array]
    this.#ck = ck
    this.#setKey(tempK)
  }

  /** InitializeKey(temp_k) of the CipherState. */
  #setKey(tempK: Uint8Array): void {
    this.#k?.fill(0)
    this.#k = tempK
    this.#cipher = undefined
  }

  #cipherState(): CipherState | undefined {
    if (this.#k === undefined) return undefined
    return (this.#cipher ??= new CipherState(this.#k))
  }

  /** MixHash(data). */
  mixHash(data: Uint8Array): void {
    this.#h = hash(this.#h, data)
  }

  /** MixKeyAndHash(input_key_material), for psk tokens. Section 9.2. */
  mixKeyAndHash(inputKeyMaterial: Uint8Array): void {
    const [ck, tempH, tempK] = hkdf(this.#ck, inputKeyMaterial, 3) as [
      Uint8Array,
      Uint8Array,
      Uint8Array
    ]
    this.#ck = ck
    this.mixHash(tempH)
    this.#setKey(tempK)
  }

  /** GetHandshakeHash(), section 11.2. */
  get handshakeHash(): Uint8Array {
    return this.#h
  }

  /** EncryptAndHash(plaintext). */
  encryptAndHash(plaintext: Uint8Array): Uint8Array | NoiseError {
    const ciphertext = this.#cipherState()?.encryptWithAd(this.#h, plaintext) ?? plaintext
    if (!isNoiseError(ciphertext)) this.mixHash(ciphertext)
    return ciphertext
  }

  /** DecryptAndHash(ciphertext). */
  decryptAndHash(ciphertext: Uint8Array): Uint8Array | NoiseError {
    const plaintext = this.#cipherState()?.decryptWithAd(this.#h, ciphertext) ?? ciphertext
    if (!isNoiseError(plaintext)) this.mixHash(ciphertext)
    return plaintext
  }

  /**
   * Split(): returns the cipher state of the initiator's messages, then the responder's. Erases ck.
   */
  split(): readonly [CipherState, CipherState] {
    const [tempK1, tempK2] = hkdf(this.#ck, new Uint8Array(0), 2) as [Uint8Array, Uint8Array]
    const states = [new CipherState(tempK1), new CipherState(tempK2)] as const
    for (const secret of [this.#ck, tempK1, tempK2]) secret.fill(0)
    this.#k?.fill(0)
    return states
  }
}
