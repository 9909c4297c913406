// Commands that run concurrently: what is acknowledged ends before the first message that failed,
// whichever failed first in time.
import { randomBytes } from "node:crypto"
import { readFileSync } from "node:fs"
import path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as ExecInbox from "../../../src/services/inbox/ExecInbox.ts"
import type { RemotePeer } from "../../../src/services/Service.ts"
import { folderOfEachTest } from "../../fixtures/folder.ts"

const folder = folderOfEachTest()

const alice: RemotePeer = { peer: "alice", from: "", publicKey: undefined, suite: "" }
const message = (text: string) => ({ id: randomBytes(16), text: Buffer.from(text) })

it.live("the earliest failure in the order of messages counts, not the first in time", () =>
  Effect.gen(function* () {
    const inbox = yield* ExecInbox.make({
      // The later message fails at once, the earlier one after it.
      command: "read x; case $x in late) sleep 0.5; exit 75;; early) exit 1;; esac",
      concurrency: 4,
      onLine: () => Effect.void
    })
    const error = yield* Effect.flip(
      inbox.handle(
        ["good", "late", "early"].map((text) => message(`${text}\n`)),
        alice
      )
    )
    expect(error).toMatchObject({
      reason: "the command exited with status 75",
      retry: true,
      handled: 1
    })
  })
)

it.live("after a failure no command is started", () =>
  Effect.gen(function* () {
    const inbox = yield* ExecInbox.make({
      command: `read x; echo $x >> ${path.join(folder(), "started")}; [ $x = good ]`,
      onLine: () => Effect.void
    })
    const texts = ["good", "bad", "good", "good"]
    const error = yield* Effect.flip(
      inbox.handle(
        texts.map((text) => message(`${text}\n`)),
        alice
      )
    )
    expect(error).toMatchObject({ handled: 1 })
    expect(readFileSync(path.join(folder(), "started"), "utf8")).toBe("good\nbad\n")
  })
)
