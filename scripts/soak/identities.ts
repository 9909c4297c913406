import { chmodSync, mkdirSync, writeFileSync } from "node:fs"
import path from "node:path"
import { Secret } from "../../src/bytes/Secret.ts"
import { Identity } from "../../src/keys/KeyKind.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import * as PublicKey from "../../src/keys/PublicKey.ts"

/** Writes a private file, and its folder. */
export const writePrivate = (file: string, content: string | Uint8Array): void => {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 })
  writeFileSync(file, content, { mode: 0o600 })
  chmodSync(file, 0o600)
}

/** Creates an identity at a path; returns its public key. */
export const newIdentity = (file: string): string => {
  const secret = Secret.random(Identity.length)
  writePrivate(file, KeyText.encode(Identity, secret))
  return PublicKey.encode(Identity.make(secret).publicKey)
}
