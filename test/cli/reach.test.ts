// By which keys a client reaches a server, and when it tries the next one: never after something may have been sent.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { HandshakeFailed } from "../../src/channel/ChannelErrors.ts"
import { Secret } from "../../src/bytes/Secret.ts"
import * as ServerConnection from "../../src/cli/connection/ServerConnection.ts"
import { Identity } from "../../src/keys/KeyKind.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import * as PublicKey from "../../src/keys/PublicKey.ts"
import { tcp } from "../../src/transports/Address.ts"
import { ConnectFailed } from "../../src/transports/TransportErrors.ts"
import { Transport } from "../../src/transports/index.ts"

const before = process.env.XDG_CONFIG_HOME
const config = mkdtempSync(path.join(tmpdir(), "sealwire-reach-"))
const keyOf = (byte: number) => Buffer.alloc(32, byte)
const line = (byte: number, option = "") =>
  `${option}mail:1 ${PublicKey.encode(keyOf(byte))} mail\n`

beforeAll(() => {
  process.env.XDG_CONFIG_HOME = config
  const folder = path.join(config, "sealwire")
  mkdirSync(folder, { mode: 0o700 })
  writeFileSync(path.join(folder, "identity.key"), KeyText.encode(Identity, Secret.random(32)), {
    mode: 0o600
  })
  const pins = [
    line(1, 'retiring="2098-01-01" '),
    line(2),
    line(3, "revoked "),
    line(4, 'retiring="2020-01-01" '),
    line(5),
    line(6, 'retiring="2099-01-01" ')
  ]
  writeFileSync(path.join(folder, "known_peers"), pins.join(""), { mode: 0o600 })
})
afterAll(() => {
  if (before === undefined) delete process.env.XDG_CONFIG_HOME
  else process.env.XDG_CONFIG_HOME = before
  rmSync(config, { recursive: true })
})

const given: ServerConnection.Flags = {
  to: tcp("mail", 1),
  key: Option.none(),
  identity: Option.none(),
  peer: Option.none(),
  acceptNew: false,
  name: ""
}

/** Reaches a server that has this key; the keys that were tried, and how it ended. */
const reached = (right: number, use: Effect.Effect<void, HandshakeFailed> = Effect.void) =>
  Effect.gen(function* () {
    const tried: Array<number | undefined> = []
    const connect = ({ keys }: ServerConnection.How) =>
      Effect.suspend(() => {
        const [key] = keys.serverKey ?? []
        tried.push(key)
        return key === right
          ? Effect.void
          : new HandshakeFailed({ peer: "mail:1", reason: `not ${key}` })
      })
    const ended = yield* Effect.either(
      Effect.flatMap(ServerConnection.prepare(given), (prepared) =>
        ServerConnection.reach(
          prepared,
          () => Effect.void,
          connect,
          () => use
        )
      )
    )
    return { tried, error: ended._tag === "Left" ? ended.left : undefined }
  }).pipe(Effect.provide(Transport.layerMemory()))

describe("the keys that are known for a server", () => {
  it.live(
    "are tried in turn, the current ones first, then who retires last; none that is withdrawn",
    () =>
      Effect.gen(function* () {
        expect(yield* reached(2)).toEqual({ tried: [2], error: undefined })
        expect(yield* reached(1)).toEqual({ tried: [2, 5, 6, 1], error: undefined })
        // Nobody listens for the look that follows: what is told is how the first one failed.
        for (const none of [3, 4, 9])
          expect(yield* reached(none)).toMatchObject({
            tried: [2, 5, 6, 1],
            error: { _tag: "HandshakeFailed", reason: "not 2" }
          })
      })
  )

  it.live("are not tried on once one was taken: the message may have been handled", () =>
    Effect.gen(function* () {
      const lost = new HandshakeFailed({ peer: "mail:1", reason: "no READY" })
      expect(yield* reached(2, lost)).toMatchObject({ tried: [2], error: { reason: "no READY" } })
    })
  )

  it.live("are not tried on where nobody answers at all", () =>
    Effect.gen(function* () {
      let tried = 0
      const connect = () =>
        Effect.suspend(() => {
          tried++
          return new ConnectFailed({ address: "mail:1", reason: "refused", code: "ECONNREFUSED" })
        })
      const error = yield* Effect.flip(
        Effect.flatMap(ServerConnection.prepare(given), (prepared) =>
          ServerConnection.reach(
            prepared,
            () => Effect.void,
            connect,
            () => Effect.void
          )
        )
      )
      expect([tried, error._tag]).toEqual([1, "ConnectFailed"])
    }).pipe(Effect.provide(Transport.layerMemory()))
  )
})
