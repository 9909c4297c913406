// A key provider of one's own: a KMS that unwraps a key over HTTP. The key it wraps with never leaves it; what is wrapped may lie anywhere.
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
  /** The longest answer that is read, in bytes: base64 of the longest key, and JSON around it. */
  answerBytes: 2 * KeyText.maxKeyText,
  /** From the request to the end of the answer. */
  deadline: Duration.seconds(10)
} as const

export interface Options {
  /** Of the wrapping key: `https://kms.example/v1/keys/sealwire`. `http:` only on this machine: the token and the key go in clear. */
  readonly url: string
  readonly token: Redacted.Redacted
  /** The text of a key (`KeyText.encode`), as the KMS has wrapped it. No secret. */
  readonly wrapped: Uint8Array
}

/** A `KeyStore` that asks the KMS each time a key is loaded. */
export const layer = (options: Options): Layer.Layer<KeyStore> =>
  KeyStore.layerLocation(place(options))

const place = ({ url, token, wrapped }: Options): KeyLocation => {
  const reference = `kms:${url}`
  const unavailable = (reason: string, hint: string) =>
    new KeyUnavailable({ reference, reason, hint })

  const ask = (signal: AbortSignal) =>
    fetch(`${url}:decrypt`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${Redacted.value(token)}`,
        "content-type": "application/json"
      },
      body: JSON.stringify({ ciphertext: Buffer.from(wrapped).toString("base64") }),
      // A redirect would carry the request to where nobody has checked.
      redirect: "error",
      signal
    })

  const read: Effect.Effect<Uint8Array, KeyLoadError> = Effect.gen(function* () {
    if (!isPrivate(url))
      return yield* unavailable(
        "its address is not https:",
        "what it says would be read on the way"
      )
    const response = yield* Effect.tryPromise({
      try: ask,
      catch: () => unavailable("the KMS does not answer", "is its address right, and is it up?")
    })
    if (!response.ok) {
      yield* Effect.ignore(Effect.tryPromise(async () => response.body?.cancel()))
      return yield* unavailable(...(refusals.get(response.status) ?? otherRefusal))
    }
    const answer = yield* Effect.tryPromise({
      try: (signal) => textOf(response, signal),
      catch: () => unavailable("the answer of the KMS broke off", "try again")
    })
    if (answer === undefined)
      return yield* new KeyRejected({
        reference,
        reason: "wrong length",
        detail: "is longer than any key may be"
      })
    const content = plaintextOf(answer)
    return (
      content ??
      (yield* unavailable(
        "the answer of the KMS is no JSON with a plaintext",
        "is its address right?"
      ))
    )
  }).pipe(
    Effect.timeoutFail({
      duration: limits.deadline,
      onTimeout: () => unavailable("the KMS is too slow", "is it up?")
    })
  )

  return {
    reference,
    read: () => read,
    write: "wrap the text of a key with the KMS, and give the program what comes out"
  }
}

const refusals: ReadonlyMap<number, readonly [reason: string, hint: string]> = new Map([
  [401, ["the KMS does not know this token", "is it the right one, and has it expired?"]],
  [403, ["the token may not unwrap with this key", "its owner can allow that"]],
  [404, ["the KMS has no such key", "is its address right?"]],
  [400, ["it was not wrapped with this key of the KMS", "wrap the text of the key again"]]
])
const otherRefusal = ["the KMS has a fault", "try again later"] as const

const isPrivate = (url: string): boolean => {
  const { protocol = "", hostname = "" } = URL.canParse(url) ? new URL(url) : {}
  return (
    protocol === "https:" ||
    (protocol === "http:" && ["127.0.0.1", "[::1]", "localhost"].includes(hostname))
  )
}

/** Undefined when there is more than a key may have. */
const textOf = async ({ body }: Response, signal: AbortSignal): Promise<string | undefined> => {
  if (body === null) return ""
  const reader = body.getReader()
  signal.addEventListener("abort", () => void reader.cancel())
  const chunks: Array<Uint8Array> = []
  let length = 0
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    const chunk: Uint8Array = next.value
    chunks.push(chunk)
    length += chunk.length
    if (length <= limits.answerBytes) continue
    await reader.cancel()
    return undefined
  }
  return Buffer.concat(chunks).toString()
}

const plaintextOf = (answer: string): Uint8Array | undefined => {
  try {
    const { plaintext } = JSON.parse(answer) as { readonly plaintext?: unknown }
    return typeof plaintext === "string" ? Buffer.from(plaintext, "base64") : undefined
  } catch {
    return undefined
  }
}
