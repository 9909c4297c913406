// TLS errors of PostgreSQL: each is named as such, and none as a database that is away. A small
// server speaks the protocol as far as TLS, with certificates that openssl makes.
import { execFileSync, spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer, type AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import path from "node:path"
import { createSecureContext, TLSSocket } from "node:tls"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PostgresInbox from "../../../src/services/inbox/PostgresInbox.ts"
import { InboxUnusable } from "../../../src/services/inbox/InboxErrors.ts"
import { kindOf } from "../../../src/services/inbox/kinds/index.ts"
import * as postgresTls from "../../../src/services/inbox/postgresTls.ts"

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0

/** A self-signed certificate for a host, in a folder of its own. */
const certificate = (host: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const folder = mkdtempSync(path.join(tmpdir(), "sealwire-pgtls-"))
      const [key, cert] = [path.join(folder, "key.pem"), path.join(folder, "cert.pem")]
      const subject = ["-subj", `/CN=${host}`, "-addext", `subjectAltName=DNS:${host}`]
      execFileSync(
        "openssl",
        ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, ...subject],
        { stdio: "ignore" }
      )
      return { folder, key, cert }
    }),
    ({ folder }) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )

/** Answers the request for TLS: with a certificate, or that there is none. Returns the port. */
const database = (files: { readonly key: string; readonly cert: string } | undefined) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const server = createServer((socket) => {
          socket.on("error", () => {})
          socket.once("data", () => {
            socket.write(files === undefined ? "N" : "S")
            if (files === undefined) return
            const secureContext = createSecureContext({
              key: readFileSync(files.key),
              cert: readFileSync(files.cert)
            })
            new TLSSocket(socket, { isServer: true, secureContext }).on("error", () => {})
          })
        })
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
        return server
      }),
      (server) => Effect.sync(() => void server.close())
    ),
    (server) => (server.address() as AddressInfo).port
  )

/** The error of an inbox at this URL. */
const errorOf = (url: string) =>
  Effect.flip(Layer.build(PostgresInbox.layer(new URL(url)))).pipe(Effect.scoped)

describe("an inbox in PostgreSQL", () => {
  it.scopedLive("names a server without TLS", () =>
    Effect.gen(function* () {
      const port = yield* database(undefined)
      const error = yield* errorOf(`postgres://me@127.0.0.1:${port}/db?sslmode=require`)
      expect(error).toBeInstanceOf(InboxUnusable)
      expect(error.message).toContain("the database offers no TLS; turn it on there")
    })
  )

  describe.runIf(hasOpenssl)("with a certificate", () => {
    it.scopedLive.each(["require", "prefer", "verify-ca", "verify-full"])(
      "that no authority has signed is refused with sslmode=%s",
      (mode) =>
        Effect.gen(function* () {
          const port = yield* database(yield* certificate("db.example"))
          const error = yield* errorOf(`postgres://me@127.0.0.1:${port}/db?sslmode=${mode}`)
          expect(error).toBeInstanceOf(InboxUnusable)
          expect(error.message).toContain(
            "TLS to the database failed (DEPTH_ZERO_SELF_SIGNED_CERT): no authority that this machine trusts"
          )
          expect(error.message).not.toContain("try again")
        })
    )

    it.scopedLive("of another host is refused", () =>
      Effect.gen(function* () {
        const files = yield* certificate("db.example")
        const port = yield* database(files)
        const error = yield* errorOf(
          `postgres://me@localhost:${port}/db?sslmode=verify-full&sslrootcert=${files.cert}`
        )
        expect(error).toBeInstanceOf(InboxUnusable)
        expect(error.message).toContain("its certificate is for another host")
      })
    )
  })

  it.scopedLive("names a file that cannot be read, before it connects", () =>
    Effect.gen(function* () {
      for (const parameter of ["sslrootcert", "sslcert", "sslkey"]) {
        const error = yield* errorOf(`postgres://me@127.0.0.1:1/db?${parameter}=/nowhere/x.pem`)
        expect(error).toBeInstanceOf(InboxUnusable)
        expect(error.message).toContain(`${parameter}=/nowhere/x.pem cannot be read (ENOENT)`)
      }
    })
  )

  it("refuses an sslmode that there is not, also in check-config", () => {
    for (const reference of ["postgres://me@h/db?sslmode=verify", "postgres://me@h/db?sslmode="])
      expect(kindOf(reference).check?.(reference)).toContain("is not one of disable, no-verify")
    expect(kindOf("postgres://me@h/db?sslmode=require").check?.("postgres://me@h/db")).toBe(
      undefined
    )
  })

  it("takes no other error for one of TLS", () => {
    for (const code of ["ECONNREFUSED", "ENOTFOUND", "57P01", "53100", "28P01", ""])
      expect(postgresTls.errorClause(code, "terminated")).toBe(undefined)
    for (const code of ["CERT_HAS_EXPIRED", "ERR_SSL_WRONG_VERSION_NUMBER", "EPROTO"])
      expect(postgresTls.errorClause(code, "")).toContain(`TLS to the database failed (${code})`)
  })
})
