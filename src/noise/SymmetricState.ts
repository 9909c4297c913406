import { createHash, createHmac } from "node:crypto"
import { CipherState } from "./CipherState.ts"
import { isNoiseError, type NoiseError } from "./NoiseError.ts"

/** SHA-256. Section 12.4. */
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

/** HKDF(chaining_key, input_key_material, 3), section 4.3; who needs two outputs leaves the third. */
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

/** SymmetricState, section 5.2. */
export class SymmetricState {
  #ck: Uint8Array
  #h: Uint8Array
  #cipher: CipherState | undefined

  /** InitializeSymmetric(protocol_name). */
  constructor(protocolName: string) {
    const name = Buffer.from(protocolName)
    this.#h = name.length <= hashLen ? Buffer.concat([name], hashLen) : hash(name)
    this.#ck = this.#h
  }

  /** True once a key was mixed in: what follows is sealed. */
  get hasKey(): boolean {
    return this.#cipher !== undefined
  }

  mixKey(inputKeyMaterial: Uint8Array): void {
    const [ck, tempK] = hkdf(this.#ck, inputKeyMaterial, 2) as [Uint8Array, Uint8Array]
    this.#ck = ck
    this.#cipher = new CipherState(tempK)
  }

  mixHash(data: Uint8Array): void {
    this.#h = hash(this.#h, data)
  }

  /** For psk tokens, section 9.2. */
  mixKeyAndHash(inputKeyMaterial: Uint8Array): void {
    const [ck, tempH, tempK] = hkdf(this.#ck, inputKeyMaterial, 3) as [
      Uint8Array,
      Uint8Array,
      Uint8Array
    ]
    this.#ck = ck
    this.mixHash(tempH)
    this.#cipher = new CipherState(tempK)
  }

  /** GetHandshakeHash(), section 11.2. */
  get handshakeHash(): Uint8Array {
    return this.#h
  }

  encryptAndHash(plaintext: Uint8Array): Uint8Array | NoiseError {
    const sealed =
      this.#cipher === undefined ? plaintext : this.#cipher.encryptWithAd(this.#h, plaintext)
    if (!isNoiseError(sealed)) this.mixHash(sealed)
    return sealed
  }

  decryptAndHash(sealed: Uint8Array): Uint8Array | NoiseError {
    const plaintext =
      this.#cipher === undefined ? sealed : this.#cipher.decryptWithAd(this.#h, sealed)
    if (!isNoiseError(plaintext)) this.mixHash(sealed)
    return plaintext
  }

  /** Split(): the initiator's sending state, then the responder's. The chaining key is gone afterwards. */
  split(): readonly [CipherState, CipherState] {
    const [tempK1, tempK2] = hkdf(this.#ck, new Uint8Array(0), 2) as [Uint8Array, Uint8Array]
    const states = [new CipherState(tempK1), new CipherState(tempK2)] as const
    for (const secret of [this.#ck, tempK1, tempK2]) secret.fill(0)
    return states
  }
}
