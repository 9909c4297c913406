// A real `sealwire serve` whose stdout goes where the test says, and a channel to it that does with messages what it likes.
import { randomBytes } from "node:crypto"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Secret } from "../../src/bytes/Secret.ts"
import * as Channel from "../../src/channel/Channel.ts"
import { suites } from "../../src/channel/Suite.ts"
import { SharedKey } from "../../src/keys/KeyKind.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import { ReceiptDecoder } from "../../src/services/messages/Receipt.ts"
import { application } from "../../src/services/Service.ts"
import { tcp } from "../../src/transports/Address.ts"
import { Transport } from "../../src/transports/Transport.ts"
import { bin, type Box, type Running } from "../cli/Sealwire.ts"
import { pause } from "../../src/testing/steps.ts"

export const MiB = 1024 * 1024

export interface Serving {
  readonly server: Running
  readonly connect: Effect.Effect<Channel.Channel, unknown, Transport | Scope.Scope>
}

export const serving = async (box: Box, stdout: string): Promise<Serving> => {
  const psk = new Secret(randomBytes(32))
  box.write("sealwire.key", KeyText.encode(SharedKey, psk))
  // What is held is measured, and not what V8 has not collected yet: of a heap without a limit it leaves a hundred MiB lying.
  const args = ["--max-old-space-size=64", bin, "serve", "--listen", "127.0.0.1:0"]
  // `exec`: the process that is measured is the server itself.
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
        { suite: suites[0], serverName: "", application, psk },
        () => Effect.void,
        {
          opening: "message"
        }
      )
    })
  }
}

/** Reads receipts up to the server's FIN, or until so many messages are handled; `hear` gets each count. */
export const readReceipts = (
  channel: Channel.Channel,
  hear: (handled: number) => void,
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
        hear(count)
      }
    }
  })

/** Looks once a second for a minute; the highest that the figure stood. */
export const mostInAMinute = (
  figure: () => number,
  each: (second: number) => void
): Effect.Effect<number> =>
  Effect.gen(function* () {
    let most = figure()
    for (let second = 1; second <= 60; second++) {
      yield* pause(1000)
      most = Math.max(most, figure())
      each(second)
    }
    return most
  })
