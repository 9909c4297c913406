import * as Either from "effect/Either"
import type { Secret } from "../bytes/Secret.ts"
import { kinds, type KeyKind } from "./KeyKind.ts"
import { decode, keyLines, type Rejection } from "./KeyText.ts"
import * as PublicKey from "./PublicKey.ts"

/** A key of any kind, which, and how it is written. */
export interface DetectedKey {
  readonly kind: KeyKind<unknown>
  readonly secret: Secret
  readonly format: "raw" | "pem" | "bech32" | "hex"
}

/** The key that the content is, whatever its kind; else the refusal that says most. */
export const detectKey = (content: Uint8Array): Either.Either<DetectedKey, Rejection> => {
  const tried = kinds.map((kind) =>
    Either.map(decode(kind, content), (secret) => ({
      kind,
      secret,
      format: formatOf(kind, content)
    }))
  )
  const found = tried.find(Either.isRight)
  if (found !== undefined) return found
  const refusals = tried.flatMap((each) => (Either.isLeft(each) ? [each.left] : []))
  return Either.left(
    refusals.find(({ reason }) => reason === "damaged" || reason === "all zero") ?? {
      reason: "wrong kind",
      detail:
        PublicKey.decode(keyLines(content)?.[0] ?? "") === undefined
          ? "holds no key of Sealwire's"
          : "is a public key; it is no secret"
    }
  )
}

const formatOf = (kind: KeyKind<unknown>, content: Uint8Array): DetectedKey["format"] => {
  if (kind.raw && content.length === kind.length) return "raw"
  const line = keyLines(content)?.[0] ?? ""
  if (line.startsWith("-----BEGIN")) return "pem"
  return line.toUpperCase().startsWith(kind.prefix) ? "bech32" : "hex"
}
