// The laws that every key store keeps, and what this one says when the KMS does not help.
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
  // Without content: nothing that this KMS has wrapped.
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

/** What loading a key says when a KMS answers so. */
const said = (answer: RequestListener) =>
  Effect.gen(function* () {
    const server = yield* Effect.acquireRelease(
      Effect.async<ReturnType<typeof createServer>>((resume) => {
        const server = createServer(answer).listen(0, "127.0.0.1", () =>
          resume(Effect.succeed(server))
        )
      }),
      (server) => Effect.sync(() => (server.close(), server.closeAllConnections()))
    )
    const { port } = server.address() as AddressInfo
    return yield* saidAt(`http://127.0.0.1:${port}/k`)
  }).pipe(Effect.scoped)

const saidAt = (url: string) =>
  Effect.flatMap(KeyStore, (store) => Effect.flip(store.load(SharedKey))).pipe(
    Effect.provide(
      Kms.layer({ url, token: Redacted.make("secret-token"), wrapped: Buffer.alloc(40) })
    ),
    Effect.tap(({ message }) => expect(message).not.toContain("secret-token")),
    Effect.map(({ message }) => message)
  )

const faults: ReadonlyArray<readonly [fault: string, answer: RequestListener, says: string]> = [
  ["refuses the token", (_, response) => response.writeHead(401).end(), "does not know this token"],
  ["has a fault", (_, response) => response.writeHead(500).end("secret-token"), "has a fault"],
  [
    "leads elsewhere",
    (_, response) => response.writeHead(302, { location: "http://127.0.0.1:1/" }).end(),
    "does not answer"
  ],
  ["answers no JSON", (_, response) => response.end("<html>"), "no JSON with a plaintext"],
  ["answers other JSON", (_, response) => response.end("null"), "no JSON with a plaintext"],
  [
    "answers without end",
    (_, response) => response.end(Buffer.alloc(1_000_000, " ")),
    "longer than any key"
  ],
  [
    "breaks off",
    (_, response) => (response.write("{"), setTimeout(() => response.destroy(), 20)),
    "broke off"
  ]
]
for (const [fault, answer, says] of faults)
  it.live(`says so when the KMS ${fault}`, () =>
    Effect.map(said(answer), (message) => expect(message).toContain(says))
  )

it.live("says nothing in clear to another machine", () =>
  Effect.map(saidAt("http://kms.example/k"), (message) => expect(message).toContain("not https:"))
)
