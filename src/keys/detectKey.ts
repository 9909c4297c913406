import * as Either from "effect/Either"
import type { Secret } from "../bytes/Secret.ts"
import { kinds, type KeyKind } from "./KeyKind.ts"
import { decode, keyLines, type Rejection } from "./KeyText.ts"
import * as PublicKey from "./PublicKey.ts"

/** A key, its kind, and the format in which it was written. */
export interface DetectedKey {
  readonly kind: KeyKind<unknown>
  readonly secret: Secret
  readonly format: "raw" | "pem" | "bech32" | "hex"
}

/** Decodes a key of any kind; else returns the most specific rejection. */
export const detectKey = (content: Uint8Array): Either.Either<DetectedKey, Rejection> => {
  const results = kinds.map((kind) =>
    Either.map(decode(kind, content), (secret) => ({
      kind,
      secret,
      format: formatOf(kind, content)
    }))
  )
  const found = results.find(Either.isRight)
  if (found !== undefined) return found
  const rejections = results.flatMap((each) => (Either.isLeft(each) ? [each.left] : []))
  return Either.left(
    rejections.find(({ reason }) => reason === "damaged" || reason === "all zero") ?? {
      reason: "wrong kind",
      detail:
        PublicKey.decode(keyLines(content)?.[0] ?? "") === undefined
          ? "holds no Sealwire key"
          : "is a public key, not a secret key"
    }
  )
}

const formatOf = (kind: KeyKind<unknown>, content: Uint8Array): DetectedKey["format"] => {
  if (kind.raw && content.length === kind.length) return "raw"
  const line = keyLines(content)?.[0] ?? ""
  if (line.startsWith("-----BEGIN")) return "pem"
  return line.toUpperCase().startsWith(kind.prefix) ? "bech32" : "hex"
}
