// A custom key provider: a KMS that unwraps a key over HTTP. The wrapping key never leaves the KMS;
// the wrapped key may be stored anywhere.
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import {
  KeyRejected,
  KeyStore,
  KeyText,
  KeyUnavailable,
  type KeyLoadError,
  type KeyLocation
} from "sealwire"

export const limits = {
  /** Longest response, in bytes: the base64 of the longest key, within JSON. */
  responseBytes: 2 * KeyText.maxKeyText,
  /** Time from the request to the end of the response. */
  deadline: Duration.seconds(10)
} as const

export interface Options {
  /**
   * URL of the wrapping key: `https://kms.example/v1/keys/sealwire`. `http:` is accepted for this
   * machine only: it would send the token and the key unencrypted.
   */
  readonly url: string
  readonly token: Redacted.Redacted
  /** The text of a key (`KeyText.encode`), wrapped by the KMS. Not secret. */
  readonly wrapped: Uint8Array
}

/** Provides a `KeyStore` that asks the KMS at each load. */
export const layer = (options: Options): Layer.Layer<KeyStore> =>
  KeyStore.layerLocation(location(options))

const location = ({ url, token, wrapped }: Options): KeyLocation => {
  const reference = `kms:${url}`
  const unavailable = (reason: string, hint: string) =>
    new KeyUnavailable({ reference, reason, hint })

  const decrypt = (signal: AbortSignal) =>
    fetch(`${url}:decrypt`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${Redacted.value(token)}`,
        "content-type": "application/json"
      },
      body: JSON.stringify({ ciphertext: Buffer.from(wrapped).toString("base64") }),
      // A redirect would send the token to an unchecked URL.
      redirect: "error",
      signal
    })

  const read: Effect.Effect<Uint8Array, KeyLoadError> = Effect.gen(function* () {
    if (!isPrivate(url))
      return yield* unavailable(
        "its URL is not https:",
        "the key would cross the network unencrypted"
      )
    const response = yield* Effect.tryPromise({
      try: decrypt,
      catch: () => unavailable("no response from the KMS", "check its URL, and that it is running")
    })
    if (!response.ok) {
      yield* Effect.ignore(Effect.tryPromise(async () => response.body?.cancel()))
      return yield* unavailable(...(failures.get(response.status) ?? otherFailure))
    }
    const text = yield* Effect.tryPromise({
      try: (signal) => readText(response, signal),
      catch: () => unavailable("the response of the KMS was truncated", "try again")
    })
    if (text === undefined)
      return yield* new KeyRejected({
        reference,
        reason: "wrong length",
        detail: "is longer than any key"
      })
    const content = decodePlaintext(text)
    return (
      content ??
      (yield* unavailable("the response of the KMS is not JSON with a plaintext", "check its URL"))
    )
  }).pipe(
    Effect.timeoutFail({
      duration: limits.deadline,
      onTimeout: () => unavailable("the KMS did not respond in time", "check that it is running")
    })
  )

  return {
    reference,
    read: () => read,
    write: "wrap the text of a key with the KMS, and configure the program with the result"
  }
}

const failures: ReadonlyMap<number, readonly [reason: string, hint: string]> = new Map([
  [401, ["the KMS rejected the token", "check that it is right and has not expired"]],
  [403, ["the token has no permission to unwrap with this key", "ask the owner of the key"]],
  [404, ["the KMS has no such key", "check its URL"]],
  [400, ["the key was wrapped with another key of the KMS", "wrap the text of the key again"]]
])
const otherFailure = ["the KMS reported an internal error", "try again later"] as const

const isPrivate = (url: string): boolean => {
  const { protocol = "", hostname = "" } = URL.canParse(url) ? new URL(url) : {}
  return (
    protocol === "https:" ||
    (protocol === "http:" && ["127.0.0.1", "[::1]", "localhost"].includes(hostname))
  )
}

/** Returns undefined for a response longer than `limits.responseBytes`. */
const readText = async ({ body }: Response, signal: AbortSignal): Promise<string | undefined> => {
  if (body === null) return ""
  const reader = body.getReader()
  signal.addEventListener("abort", () => void reader.cancel())
  const chunks: Array<Uint8Array> = []
  let length = 0
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    const chunk: Uint8Array = next.value
    chunks.push(chunk)
    length += chunk.length
    if (length <= limits.responseBytes) continue
    await reader.cancel()
    return undefined
  }
  return Buffer.concat(chunks).toString()
}

const decodePlaintext = (text: string): Uint8Array | undefined => {
  try {
    const { plaintext } = JSON.parse(text) as { readonly plaintext?: unknown }
    return typeof plaintext === "string" ? Buffer.from(plaintext, "base64") : undefined
  } catch {
    return undefined
  }
}
