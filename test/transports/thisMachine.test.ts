// loopbackOnly: a name may resolve to another host the next time (DNS rebinding), so each
// connection checks it.
import dns from "node:dns"
import { syncBuiltinESMExports } from "node:module"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { afterAll, beforeAll } from "vitest"
import { tcp } from "../../src/transports/Address.ts"
import * as Net from "../../src/transports/Net.ts"
import { echo, echoOf } from "../../src/testing/steps.ts"

const { lookup } = dns
let answer: ReadonlyArray<string> = []

beforeAll(() => {
  const ours = (
    options: dns.LookupOptions,
    callback: (...args: ReadonlyArray<unknown>) => void
  ) => {
    const all = answer.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }))
    process.nextTick(() =>
      options.all === true ? callback(null, all) : callback(null, all[0]?.address, all[0]?.family)
    )
  }
  dns.lookup = ((name: string, ...rest: Parameters<typeof ours>) =>
    name === "db.example"
      ? ours(...rest)
      : lookup(name, ...(rest as [dns.LookupOptions, () => void]))) as typeof dns.lookup
  syncBuiltinESMExports()
})
afterAll(() => {
  dns.lookup = lookup
  syncBuiltinESMExports()
})

describe("a connection with loopbackOnly", () => {
  it.scopedLive("is opened only while all addresses of the name are loopback addresses", () =>
    Effect.gen(function* () {
      const { address } = yield* Net.listen(tcp("127.0.0.1", 0), echo)
      const port = address._tag === "Tcp" ? address.port : 0
      const attempt = Effect.flatMap(
        Net.connect(tcp("db.example", port), { loopbackOnly: true }),
        (connection) => echoOf(connection, "hello")
      ).pipe(Effect.either)
      answer = ["127.0.0.1"]
      expect(yield* attempt).toMatchObject({ right: "hello" })
      for (answer of [
        ["192.0.2.1"],
        ["127.0.0.1", "192.0.2.1"],
        ["2001:db8::1"],
        ["0.0.0.0"],
        ["::ffff:192.0.2.1"]
      ])
        expect(yield* attempt).toMatchObject({
          left: { _tag: "ConnectFailed", reason: "elsewhere" }
        })
      answer = ["127.0.0.2", "127.0.0.1"]
      expect((yield* attempt)._tag).toBe("Right")
    })
  )
})
