// A real `sealwire serve` with a stdout chosen by the test, and a channel to it without a message client.
import { randomBytes } from "node:crypto"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Secret } from "../../src/bytes/Secret.ts"
import * as Channel from "../../src/channel/Channel.ts"
import { SharedKey } from "../../src/keys/KeyKind.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import { ReceiptDecoder } from "../../src/services/messages/Receipt.ts"
import { application } from "../../src/services/Service.ts"
import { tcp } from "../../src/transports/Address.ts"
import { Transport } from "../../src/transports/Transport.ts"
import { bin, type Box, type Running } from "../cli/Sealwire.ts"
import { pause } from "../../src/testing/steps.ts"

export const MiB = 1024 * 1024

export interface StartedServer {
  readonly server: Running
  readonly connect: Effect.Effect<Channel.Channel, unknown, Transport | Scope.Scope>
}

export const startServer = async (box: Box, stdout: string): Promise<StartedServer> => {
  const psk = new Secret(randomBytes(32))
  box.write("sealwire.key", KeyText.encode(SharedKey, psk))
  // A heap limit: without one V8 leaves a hundred MiB of garbage, and the measurement would include it.
  const args = ["--max-old-space-size=64", bin, "serve", "--listen", "127.0.0.1:0"]
  // exec: the measured process is the server itself.
  const server = box.startOther("bash", [
    "-c",
    `exec "$@" > ${stdout}`,
    "bash",
    process.execPath,
    ...args
  ])
  const port = Number(
    await server.until(
      "the listening line",
      ({ stderr }) => /listening on \S+:(\d+)/.exec(stderr)?.[1]
    )
  )
  return {
    server,
    connect: Effect.gen(function* () {
      const connection = yield* (yield* Transport).connect(tcp("127.0.0.1", port))
      return yield* Channel.connect(
        connection,
        { serverName: "", application, psk },
        { opening: "message" }
      )
    })
  }
}

/** Reads receipts up to the end of the stream, or until `until` messages are handled; `onHandled` gets each count. */
export const readReceipts = (
  channel: Channel.Channel,
  onHandled: (handled: number) => void,
  until = Number.POSITIVE_INFINITY
) =>
  Effect.gen(function* () {
    const decoder = new ReceiptDecoder()
    for (let handled = 0; handled < until;) {
      const item = yield* channel.read
      if (item === undefined) return
      for (const { status, count } of decoder.push(item as Uint8Array) ?? []) {
        if (status !== "handled") throw new Error(`refused after ${count}`)
        handled = count
        onHandled(count)
      }
    }
  })

/** Samples a value once a second for a minute; returns its maximum. */
export const maximumInOneMinute = (
  sample: () => number,
  each: (second: number) => void
): Effect.Effect<number> =>
  Effect.gen(function* () {
    let maximum = sample()
    for (let second = 1; second <= 60; second++) {
      yield* pause(1000)
      maximum = Math.max(maximum, sample())
      each(second)
    }
    return maximum
  })
