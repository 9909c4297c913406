// target= of authorized_peers: by name, and by address in any spelling.
import { describe, expect, it } from "vitest"
import * as Either from "effect/Either"
import { parseAuthorized } from "../../../src/peers/Peers.ts"
import * as PublicKey from "../../../src/keys/PublicKey.ts"
import { ruleOptions, targetRefusal } from "../../../src/services/tunnel/rules.ts"
import { canonical, parse } from "../../../src/transports/Address.ts"

const key = PublicKey.encode(Buffer.alloc(32, 1))

/** Why a client with this option may not reach a target; undefined if it may. */
const refusal = (allowed: string, name: string, address: string) => {
  const text = `target="${allowed}" ${key} alice`
  const [peer] = Either.getOrThrow(parseAuthorized(ruleOptions)("authorized_peers", text))
  if (peer === undefined) throw new Error("no peer")
  return targetRefusal(peer.rules, { name, address: canonical(Either.getOrThrow(parse(address))) })
}

describe("target=", () => {
  it.each([
    ["postgres", "127.0.0.1:5432"],
    ["127.0.0.1:5432", "127.0.0.1:5432"],
    ["LOCALHOST:5432", "localhost:5432"],
    ["[::ffff:7f00:1]:5432", ":5432"],
    ["/run//pg/../pg.sock", "unix:/run/pg.sock"],
    ["unix:pg.sock", "unix:./pg.sock"]
  ])("%s allows %s", (allowed, address) => {
    expect(refusal(`other,${allowed}`, "postgres", address)).toBeUndefined()
  })

  it.each([
    ["Postgres", "127.0.0.1:5432"],
    ["127.0.0.1:5433", "127.0.0.1:5432"],
    ["localhost:5432", "127.0.0.1:5432"],
    ["/run/PG.sock", "/run/pg.sock"]
  ])("%s does not allow %s", (allowed, address) => {
    expect(refusal(allowed, "postgres", address)).toContain("allow only the targets")
  })
})
