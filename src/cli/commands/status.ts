import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import { unix } from "../../transports/Address.ts"
import * as Net from "../../transports/Net.ts"
import { commandSpec } from "../arguments/CommandSpec.ts"
import * as options from "../arguments/options.ts"
import { Report } from "../output/Report.ts"
import { NoStatus, parseSnapshot, type Snapshot } from "../output/Status.ts"
import { formatStatus } from "../output/formatStatus.ts"

/** How long an answer may take, and how long it may be. */
const patience = "5 seconds"
const mostBytes = 16 * 1024 * 1024

/** How often `--watch` looks. */
const pause = "1 second"

export const status = commandSpec(
  ["status"],
  "ask a server that runs who is in and what it has done",
  [["sealwire status ./sealwire.sock", "of sealwire serve --control ./sealwire.sock"]],
  {
    socket: Args.text({ name: "SOCKET" }).pipe(
      Args.withDescription("What serve was given as --control.")
    ),
    watch: Options.boolean("watch").pipe(Options.withDescription("Ask again each second.")),
    json: options.json
  },
  ({ socket, watch, json }) =>
    Effect.gen(function* () {
      const report = yield* Report
      let before: Snapshot | undefined
      const look = Effect.gen(function* () {
        const now = parseSnapshot(yield* ask(socket))
        if (now === undefined) return yield* new NoStatus({ socket })
        yield* report.print(json ? JSON.stringify(now) : formatStatus(now, before))
        before = now
        return undefined
      })
      yield* look
      while (watch) yield* Effect.zipRight(Effect.sleep(pause), look)
    })
)

const ask = (socket: string) =>
  Effect.gen(function* () {
    const connection = yield* Net.connect(unix(socket))
    const chunks: Array<Uint8Array> = []
    let bytes = 0
    for (
      let chunk = yield* connection.read;
      chunk !== undefined && bytes < mostBytes;
      chunk = yield* connection.read
    ) {
      chunks.push(chunk)
      bytes += chunk.length
    }
    return Buffer.concat(chunks).toString()
  }).pipe(
    Effect.scoped,
    Effect.timeoutFail({ duration: patience, onTimeout: () => new NoStatus({ socket }) })
  )
