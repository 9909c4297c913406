// The laws of every key store, and the errors of this one for each failure of the KMS.
import { createServer, type RequestListener } from "node:http"
import type { AddressInfo } from "node:net"
import * as vitest from "@effect/vitest"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { KeyStore, SharedKey } from "sealwire"
import { keyStoreLaws } from "sealwire/testing"
import { fakeKms } from "./fakeKms.ts"
import * as Kms from "./Kms.ts"

keyStoreLaws(vitest, {
  // Without content: bytes that this KMS has not wrapped.
  layerWith: (content) =>
    Layer.unwrapScoped(
      Effect.map(fakeKms, ({ url, token, wrap }) =>
        Kms.layer({
          url,
          token: Redacted.make(token),
          wrapped: content === undefined ? Buffer.alloc(40) : wrap(content)
        })
      )
    ),
  missingTag: "KeyUnavailable",
  canCreate: false,
  numRuns: 5
})

/** Returns the message of the error when a key is loaded from this KMS. */
const loadErrorFrom = (respond: RequestListener) =>
  Effect.gen(function* () {
    const server = yield* Effect.acquireRelease(
      Effect.async<ReturnType<typeof createServer>>((resume) => {
        const server = createServer(respond).listen(0, "127.0.0.1", () =>
          resume(Effect.succeed(server))
        )
      }),
      (server) => Effect.sync(() => (server.close(), server.closeAllConnections()))
    )
    const { port } = server.address() as AddressInfo
    return yield* loadErrorAt(`http://127.0.0.1:${port}/k`)
  }).pipe(Effect.scoped)

const loadErrorAt = (url: string) =>
  Effect.flatMap(KeyStore, (store) => Effect.flip(store.load(SharedKey))).pipe(
    Effect.provide(
      Kms.layer({ url, token: Redacted.make("secret-token"), wrapped: Buffer.alloc(40) })
    ),
    Effect.tap(({ message }) => expect(message).not.toContain("secret-token")),
    Effect.map(({ message }) => message)
  )

const failures: ReadonlyArray<
  readonly [failure: string, respond: RequestListener, message: string]
> = [
  ["rejects the token", (_, response) => response.writeHead(401).end(), "rejected the token"],
  [
    "reports an internal error",
    (_, response) => response.writeHead(500).end("secret-token"),
    "an internal error"
  ],
  [
    "redirects",
    (_, response) => response.writeHead(302, { location: "http://127.0.0.1:1/" }).end(),
    "no response"
  ],
  ["sends no JSON", (_, response) => response.end("<html>"), "not JSON with a plaintext"],
  ["sends other JSON", (_, response) => response.end("null"), "not JSON with a plaintext"],
  [
    "sends an endless response",
    (_, response) => response.end(Buffer.alloc(1_000_000, " ")),
    "longer than any key"
  ],
  [
    "disconnects",
    (_, response) => (response.write("{"), setTimeout(() => response.destroy(), 20)),
    "truncated"
  ]
]
for (const [failure, respond, expected] of failures)
  it.live(`names the failure when the KMS ${failure}`, () =>
    Effect.map(loadErrorFrom(respond), (message) => expect(message).toContain(expected))
  )

it.live("sends nothing unencrypted to another machine", () =>
  Effect.map(loadErrorAt("http://kms.example/k"), (message) =>
    expect(message).toContain("not https:")
  )
)
