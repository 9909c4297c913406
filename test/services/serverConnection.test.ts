// ServerConnection: the keys that a client tries, their order, and when it stops.
import { writeFileSync } from "node:fs"
import path from "node:path"
import { beforeAll, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Secret } from "../../src/bytes/Secret.ts"
import { HandshakeFailed } from "../../src/channel/ChannelErrors.ts"
import { generate } from "../../src/keys/KeyPair.ts"
import * as PublicKey from "../../src/keys/PublicKey.ts"
import type { KnownPeer } from "../../src/peers/Peers.ts"
import * as Dial from "../../src/services/Dial.ts"
import * as ServerConnection from "../../src/services/ServerConnection.ts"
import { tcp } from "../../src/transports/Address.ts"
import { ConnectFailed } from "../../src/transports/TransportErrors.ts"
import { Transport } from "../../src/transports/index.ts"
import { sharedFolder } from "../fixtures/folder.ts"

const folder = sharedFolder()
const knownPeers = path.join(folder, "known_peers")
const keyOf = (byte: number) => Buffer.alloc(32, byte)
const line = (byte: number, option = "") =>
  `${option}mail:1 ${PublicKey.encode(keyOf(byte))} mail\n`

beforeAll(() => {
  const lines = [
    line(1, 'retiring="2098-01-01" '),
    line(2),
    line(3, "revoked "),
    line(4, 'retiring="2020-01-01" '),
    line(5),
    line(6, 'retiring="2099-01-01" ')
  ]
  writeFileSync(knownPeers, lines.join(""), { mode: 0o600 })
})

const loaded: Array<"identity" | "sharedKey" | KnownPeer> = []
const make = (
  options: Partial<ServerConnection.Options<never, never>> = {}
): Effect.Effect<ServerConnection.ServerConnection> =>
  Effect.suspend(() => {
    loaded.length = 0
    return Effect.orDie(
      ServerConnection.make<never, never>({
        address: tcp("mail", 1),
        knownPeers,
        identity: (pinned) => {
          loaded.push(pinned ?? "identity")
          return Effect.succeed(generate())
        },
        sharedKey: Effect.sync(() => {
          loaded.push("sharedKey")
          return Secret.random(32)
        }),
        ...options
      })
    )
  })

/** Connects to a server with this key; returns the keys that were tried, and the error. */
const connectTo = (right: number, use: Effect.Effect<void, HandshakeFailed> = Effect.void) =>
  Effect.gen(function* () {
    const tried: Array<number | undefined> = []
    const open = ({ keys }: ServerConnection.AttemptOptions) =>
      Effect.suspend(() => {
        const [key] = keys.serverKey ?? []
        tried.push(key)
        return key === right
          ? Effect.void
          : new HandshakeFailed({ peer: "mail:1", reason: `not ${key}` })
      })
    const server = yield* make()
    const ended = yield* Effect.either(ServerConnection.connect(server, open, () => use))
    return { tried, error: ended._tag === "Left" ? ended.left : undefined }
  }).pipe(Effect.provide(Transport.layerMemory()))

describe("ServerConnection.connect", () => {
  it.live(
    "tries current keys first, then those that retire last, and no revoked or retired one",
    () =>
      Effect.gen(function* () {
        expect(yield* connectTo(2)).toEqual({ tried: [2], error: undefined })
        expect(yield* connectTo(1)).toEqual({ tried: [2, 5, 6, 1], error: undefined })
        // Nothing listens for the probe that follows, so the error is that of the first attempt.
        for (const none of [3, 4, 9])
          expect(yield* connectTo(none)).toMatchObject({
            tried: [2, 5, 6, 1],
            error: { _tag: "HandshakeFailed", reason: "not 2" }
          })
      })
  )

  it.live("tries no other key after a success: the message may have been handled", () =>
    Effect.gen(function* () {
      const lost = new HandshakeFailed({ peer: "mail:1", reason: "no READY" })
      expect(yield* connectTo(2, lost)).toMatchObject({ tried: [2], error: { reason: "no READY" } })
    })
  )

  it.live("tries no other key if nothing listens", () =>
    Effect.gen(function* () {
      let tried = 0
      const open = () =>
        Effect.suspend(() => {
          tried++
          return new ConnectFailed({ address: "mail:1", reason: "refused", code: "ECONNREFUSED" })
        })
      const server = yield* make()
      const error = yield* Effect.flip(ServerConnection.connect(server, open, () => Effect.void))
      expect([tried, error._tag]).toEqual([1, "ConnectFailed"])
    }).pipe(Effect.provide(Transport.layerMemory()))
  )

  it.live("returns the result of use", () =>
    Effect.gen(function* () {
      const server = yield* make({ credentials: "sharedKey" })
      const open = ({ keys }: ServerConnection.AttemptOptions) =>
        Effect.succeed(Dial.checkKeys(keys).name)
      expect(yield* ServerConnection.connect(server, open, Effect.succeed)).toBe("NNpsk0")
    }).pipe(Effect.provide(Transport.layerMemory()))
  )
})

describe("ServerConnection.make", () => {
  it.live("loads an identity for a server that known_peers lists, and passes the entry", () =>
    Effect.gen(function* () {
      expect((yield* make()).credentials).toBe("identity")
      expect(loaded).toMatchObject([{ line: 1, name: "mail" }])
    })
  )

  it.live("loads a shared key for a server that known_peers does not list", () =>
    Effect.gen(function* () {
      expect((yield* make({ address: tcp("other", 1) })).credentials).toBe("sharedKey")
      expect(loaded).toEqual(["sharedKey"])
    })
  )

  it.live("loads an identity for a given key and at first contact, and both on request", () =>
    Effect.gen(function* () {
      for (const options of [{ peer: PublicKey.encode(keyOf(9)) }, { acceptNew: true }]) {
        expect((yield* make({ address: tcp("other", 1), ...options })).credentials).toBe("identity")
        expect(loaded).toEqual(["identity"])
      }
      yield* make({ credentials: "both" })
      expect(loaded).toEqual(["sharedKey", "identity"])
    })
  )
})
