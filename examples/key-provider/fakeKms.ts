// A KMS for tests: it wraps with AES-256-GCM under its own key, and unwraps for requests with its
// token.
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto"
import { createServer, type IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export interface FakeKms {
  readonly url: string
  readonly token: string
  readonly wrap: (plaintext: string) => Uint8Array
  /** Number of requests so far. */
  readonly requestCount: () => number
}

const options = { authTagLength: 16 }

/** Serves on a free local port until the scope closes. */
export const fakeKms: Effect.Effect<FakeKms, never, Scope.Scope> = Effect.gen(function* () {
  const key = randomBytes(32)
  const token = randomBytes(16).toString("hex")
  let requests = 0

  const wrap = (plaintext: string): Uint8Array => {
    const nonce = randomBytes(12)
    const cipher = createCipheriv("aes-256-gcm", key, nonce, options)
    return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
  }

  const unwrap = (wrapped: Buffer): Buffer => {
    const decipher = createDecipheriv("aes-256-gcm", key, wrapped.subarray(0, 12), options)
    decipher.setAuthTag(wrapped.subarray(-16))
    return Buffer.concat([decipher.update(wrapped.subarray(12, -16)), decipher.final()])
  }

  const respond = async (
    request: IncomingMessage
  ): Promise<readonly [status: number, body: unknown]> => {
    requests++
    if (request.headers.authorization !== `Bearer ${token}`) return [401, {}]
    if (request.url !== "/v1/keys/sealwire:decrypt") return [404, {}]
    let text = ""
    for await (const chunk of request) text += String(chunk)
    try {
      const { ciphertext } = JSON.parse(text) as { readonly ciphertext: string }
      return [200, { plaintext: unwrap(Buffer.from(ciphertext, "base64")).toString("base64") }]
    } catch {
      return [400, {}]
    }
  }

  const server = yield* Effect.acquireRelease(
    Effect.async<ReturnType<typeof createServer>>((resume) => {
      const server = createServer((request, response) => {
        void respond(request).then(([status, body]) =>
          response.writeHead(status).end(JSON.stringify(body))
        )
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => (server.close(), server.closeAllConnections()))
  )
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/v1/keys/sealwire`,
    token,
    wrap,
    requestCount: () => requests
  }
})
