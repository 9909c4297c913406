import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import { unix } from "../../transports/Address.ts"
import * as Net from "../../transports/Net.ts"
import { entry } from "../Entry.ts"
import * as options from "../options.ts"
import { Report } from "../Report.ts"
import type { Snapshot } from "../Status.ts"
import { statusOf } from "../words.ts"

/** How often `--watch` looks. */
const pause = "1 second"

export const status = entry(
  ["status"],
  "ask a server that runs who is in and what it has done",
  [["sealwire status ./sealwire.sock", "of sealwire serve --control ./sealwire.sock"]],
  {
    socket: Args.text({ name: "SOCKET" }).pipe(Args.withDescription("What serve was given as --control.")),
    watch: Options.boolean("watch").pipe(Options.withDescription("Ask again each second.")),
    json: options.json
  },
  ({ socket, watch, json }) =>
    Effect.gen(function* () {
      const report = yield* Report
      let before: Snapshot | undefined
      const look = Effect.gen(function* () {
        const line = yield* ask(socket)
        const now = JSON.parse(line) as Snapshot
        yield* report.print(json ? line.trimEnd() : statusOf(now, before))
        before = now
      })
      yield* look
      while (watch) yield* Effect.zipRight(Effect.sleep(pause), look)
    })
)

const ask = (socket: string) =>
  Effect.gen(function* () {
    const connection = yield* Net.connect(unix(socket))
    const chunks: Array<Uint8Array> = []
    for (let chunk = yield* connection.read; chunk !== undefined; chunk = yield* connection.read) chunks.push(chunk)
    return Buffer.concat(chunks).toString()
  }).pipe(Effect.scoped)
