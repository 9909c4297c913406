// PeerReload: a server's list of authorized clients follows its file.
import { unlinkSync, writeFileSync } from "node:fs"
import path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as PublicKey from "../../src/keys/PublicKey.ts"
import { ruleOptions } from "../../src/services/builtin/index.ts"
import * as PeerReload from "../../src/services/PeerReload.ts"
import { RefusedByRules } from "../../src/services/PeerSessions.ts"
import { sharedFolder } from "../fixtures/folder.ts"

const folder = sharedFolder()

const keyOf = (byte: number) => Buffer.alloc(32, byte)
const line = (byte: number, name: string) => `${PublicKey.encode(keyOf(byte))} ${name}\n`

/** Follows a file with this text; `next` is the next reload event, `request` asks for one. */
const followed = (name: string, text: string) =>
  Effect.gen(function* () {
    const file = path.join(folder, name)
    const write = (changed: string) => writeFileSync(file, changed, { mode: 0o600 })
    write(text)
    const requests = yield* Queue.unbounded<void>()
    const events = yield* Queue.unbounded<PeerReload.ReloadEvent>()
    const peers = yield* PeerReload.follow(file, ruleOptions(), {
      reload: Stream.fromQueue(requests),
      on: (event) => Queue.offer(events, event)
    })
    return {
      file,
      write,
      peers,
      request: Queue.offer(requests, undefined),
      next: Queue.take(events)
    }
  })

describe("PeerReload.follow", () => {
  it.scopedLive("applies a changed list and ends sessions it no longer allows", () =>
    Effect.gen(function* () {
      const { write, peers, next } = yield* followed("changed", line(1, "alice") + line(2, "bob"))
      let ended = 0
      const session = peers.open(keyOf(1), "127.0.0.1:1", "message", () => ended++)
      expect(session).not.toBeInstanceOf(RefusedByRules)
      write(line(2, "bob"))
      expect(yield* next).toMatchObject({
        _tag: "Reloaded",
        ended: 1,
        peers: [{ name: "bob", line: 1 }]
      })
      expect(ended).toBe(1)
      expect([peers.size, peers.list.find(keyOf(1))]).toEqual([1, undefined])
    })
  )

  it.scopedLive("keeps the previous list while the file is invalid or missing", () =>
    Effect.gen(function* () {
      const { file, write, peers, next } = yield* followed("invalid", line(1, "alice"))
      write("nonsense\n")
      expect(yield* next).toMatchObject({ _tag: "Kept", keys: 1, fault: { line: 1 } })
      unlinkSync(file)
      expect(yield* next).toMatchObject({ _tag: "Kept", keys: 1, fault: { line: 0 } })
      expect(peers.list.find(keyOf(1))?.name).toBe("alice")
    })
  )

  it.scopedLive("reads the file at once on request, and reports it even if nothing changed", () =>
    Effect.gen(function* () {
      const { request, next } = yield* followed("requested", line(1, "alice"))
      yield* request
      expect(yield* next).toMatchObject({ _tag: "Reloaded", ended: 0, peers: [{ name: "alice" }] })
    })
  )

  it.scopedLive("fails if the file is invalid at the start", () =>
    Effect.gen(function* () {
      const file = path.join(folder, "wrong")
      writeFileSync(file, "nonsense\n", { mode: 0o600 })
      expect(yield* Effect.flip(PeerReload.follow(file, ruleOptions()))).toMatchObject({
        _tag: "PeersInvalid"
      })
    })
  )

  it.scopedLive("applies a list while an event handler stalls", () =>
    Effect.gen(function* () {
      const file = path.join(folder, "stalled")
      writeFileSync(file, line(1, "alice"), { mode: 0o600 })
      const peers = yield* PeerReload.follow(file, ruleOptions(), { on: () => Effect.never })
      for (const text of [line(2, "bob"), ""]) {
        writeFileSync(file, text)
        const size = text === "" ? 0 : 1
        const isInForce = () => peers.size === size && peers.list.find(keyOf(1)) === undefined
        yield* Effect.repeat(Effect.sleep(20), { until: isInForce })
      }
      expect(peers.size).toBe(0)
    })
  )
})
