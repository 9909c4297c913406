import * as Operand from "../arguments/Operand.ts"
import * as Flag from "../arguments/Flag.ts"
import * as Effect from "effect/Effect"
import * as Utf8 from "../../bytes/Utf8.ts"
import { PeerDead } from "../../channel/ChannelErrors.ts"
import { format, parseUnix, type Address } from "../../transports/Address.ts"
import * as Net from "../../transports/Net.ts"
import { commandSpec } from "../arguments/CommandSpec.ts"
import * as options from "../arguments/options.ts"
import { Report } from "../output/Report.ts"
import { NoStatus, parseSnapshot, type Snapshot } from "../output/Status.ts"
import { jsonRecord } from "../output/events/index.ts"
import { formatStatus } from "../output/formatStatus.ts"

export const limits = {
  /** Time until the answer is complete. */
  answerTime: "5 seconds",
  /** Bytes of an answer; the rest is not read. */
  answerBytes: 16 * 1024 * 1024
} as const

/** The interval of `--watch`. */
const watchInterval = "1 second"

export const status = commandSpec(
  {
    path: ["status"],
    group: "Operate",
    summary: "show connections and counters of a running server",
    examples: [
      ["sealwire status ./sealwire.sock", "a server started with --control ./sealwire.sock"]
    ],
    loadsKey: false
  },
  {
    socket: Operand.text("SOCKET").pipe(
      Operand.completing("file"),
      Operand.withDescription(
        "The control socket of the server: the path given to serve as --control."
      )
    ),
    watch: Flag.boolean("watch").pipe(Flag.withDescription("Refresh every second.")),
    json: options.json
  },
  ({ socket, watch, json }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const address = yield* parseUnix(socket)
      let before: Snapshot | undefined
      const show = Effect.gen(function* () {
        const now = parseSnapshot(yield* readSnapshot(address))
        if (now === undefined) return yield* new NoStatus({ socket })
        yield* report.printData(
          json ? jsonRecord("server-status", { ...now }) : formatStatus(now, before)
        )
        before = now
        return undefined
      })
      yield* show
      while (watch) yield* Effect.zipRight(Effect.sleep(watchInterval), show)
    })
)

/** Reads the answer of a control socket up to its end. */
const readSnapshot = (address: Address) =>
  Effect.gen(function* () {
    const connection = yield* Net.connect(address)
    const chunks: Array<Uint8Array> = []
    let bytes = 0
    for (
      let chunk = yield* connection.read;
      chunk !== undefined && bytes < limits.answerBytes;
      chunk = yield* connection.read
    ) {
      chunks.push(chunk)
      bytes += chunk.length
    }
    return Utf8.decode(Buffer.concat(chunks)) ?? ""
  }).pipe(
    Effect.scoped,
    Effect.timeoutFail({
      duration: limits.answerTime,
      onTimeout: () => new PeerDead({ peer: format(address) })
    })
  )
