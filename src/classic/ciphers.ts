import { Aes128CbcHmacSha256 } from "./Aes128CbcHmacSha256.ts"
import { Aes256Gcm } from "./Aes256Gcm.ts"
import type { CipherKind } from "./CipherKind.ts"
import { InsecureAes128Cbc } from "./InsecureAes128Cbc.ts"

/**
 * Every cipher of the classic system. The first is that of the original C++ pair, and the default.
 */
export const ciphers: readonly [CipherKind<unknown>, ...ReadonlyArray<CipherKind<unknown>>] = [
  InsecureAes128Cbc,
  Aes128CbcHmacSha256,
  Aes256Gcm
]
