// The Outbox as a library: its limit.
import path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { Delivery } from "../../../src/services/messages/Delivery.ts"
import * as Outbox from "../../../src/services/inbox/Outbox.ts"
import { pause, withTimeout } from "../../../src/testing/steps.ts"
import { scopedFolder } from "../../fixtures/folder.ts"

const file = Effect.map(scopedFolder, (folder) => path.join(folder, "outbox.db"))
const text = (word: string) => Buffer.from(word)

describe("a full outbox", () => {
  const full = { bytes: 80_000 }
  const long = text("x".repeat(70_000))

  it.scopedLive("makes new messages wait, and refuses them when nothing is being delivered", () =>
    Effect.gen(function* () {
      const outbox = yield* Outbox.open(yield* file, full)
      yield* outbox.enqueue([long])
      const more = yield* Effect.fork(outbox.enqueue([long]))
      yield* pause(400)
      expect(yield* Fiber.poll(more)).toMatchObject({ _tag: "None" })
      // A delivery that fails.
      yield* Effect.exit(outbox.deliver(new Delivery(), Effect.fail("no server"), "1 second"))
      expect(yield* withTimeout("the refusal", Effect.flip(Fiber.join(more)))).toMatchObject({
        _tag: "OutboxFailed",
        reason: "it is full",
        retry: true
      })
      expect(yield* outbox.pending).toBe(1)
    })
  )

  it.scopedLive("accepts messages again after an acknowledgement", () =>
    Effect.gen(function* () {
      const outbox = yield* Outbox.open(yield* file, full)
      yield* outbox.enqueue([long, long])
      const more = yield* Effect.fork(
        Effect.zipRight(outbox.enqueue([text("after")]), outbox.complete)
      )
      const delivery = new Delivery()
      // A server that acknowledges everything at intervals.
      const run = delivery.session({
        onReceipt: (listener: (count: number) => void) =>
          setInterval(() => listener(delivery.offered), 20).unref(),
        sendBatch: () => Effect.void,
        ended: Effect.never
      } as never)
      yield* withTimeout("the delivery", outbox.deliver(delivery, run, "1 second"))
      expect([delivery.acknowledged, yield* outbox.pending]).toEqual([3, 0])
      expect(Exit.isSuccess(yield* Fiber.await(more))).toBe(true)
    })
  )
})
