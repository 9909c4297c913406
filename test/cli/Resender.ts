// A client that sends unacknowledged messages again under the same IDs while the server restarts.
import { randomBytes } from "node:crypto"
import { setTimeout as sleep } from "node:timers/promises"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { expect } from "vitest"
import * as Hex from "../../src/bytes/Hex.ts"
import { Secret } from "../../src/bytes/Secret.ts"
import * as Channel from "../../src/channel/Channel.ts"
import { SharedKey } from "../../src/keys/KeyKind.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import { InboxMessages } from "../../src/services/inbox/Inbox.ts"
import * as SqliteInbox from "../../src/services/inbox/SqliteInbox.ts"
import { ReceiptDecoder } from "../../src/services/messages/Receipt.ts"
import { application } from "../../src/services/Service.ts"
import { unix } from "../../src/transports/Address.ts"
import { Transport } from "../../src/transports/index.ts"
import { within, type Box, type Options, type Running } from "./Sealwire.ts"

type Connect = Effect.Effect<Channel.Channel, unknown, Transport | Scope.Scope>

/** Maximum number of unacknowledged messages. */
const batch = 150

export class Resender {
  /** IDs in hexadecimal. */
  readonly acknowledged = new Set<string>()
  readonly sent = new Set<string>()
  /** The last status other than "handled". */
  refusal: string | undefined
  #pending: ReadonlyArray<Buffer> = []
  #stopping = false
  readonly #session: Effect.Effect<void, unknown, Transport | Scope.Scope>

  constructor(connect: Connect) {
    this.#session = Effect.flatMap(connect, (channel) => this.#use(channel))
  }

  /** Sends no more new messages, and ends when all are acknowledged. */
  stop(): void {
    this.#stopping = true
  }

  get run(): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      while (!this.#stopping || this.#pending.length > 0) {
        yield* Effect.ignore(Effect.scoped(this.#session))
        yield* Effect.sleep("10 millis")
      }
    }).pipe(Effect.provide(Transport.layerNet))
  }

  #use(channel: Channel.Channel) {
    return Effect.gen(this, function* () {
      const receipts = new ReceiptDecoder()
      let handled = 0
      while (!this.#stopping || this.#pending.length > 0) {
        while (!this.#stopping && this.#pending.length < batch) this.#add()
        yield* channel.write(Buffer.concat(this.#pending))
        while (this.#pending.length > 0) {
          const chunk = yield* channel.read
          if (!(chunk instanceof Uint8Array)) return
          for (const { status, count } of receipts.push(chunk) ?? []) {
            for (; handled < count; handled++) this.#acknowledge()
            if (status !== "handled") {
              this.refusal = status
              return
            }
          }
        }
      }
      yield* channel.end
    })
  }

  #add(): void {
    const [id, text] = [randomBytes(16), randomBytes(1 + (randomBytes(1)[0] as number))]
    const length = Buffer.alloc(4)
    length.writeUInt32BE(text.length)
    this.#pending = [...this.#pending, Buffer.concat([length, id, text])]
    this.sent.add(id.toString("hex"))
  }

  #acknowledge(): void {
    const [first, ...rest] = this.#pending
    this.#pending = rest
    if (first !== undefined) this.acknowledged.add(first.subarray(4, 20).toString("hex"))
  }
}

/** Returns functions that start `serve` with an inbox at a socket, and clients for it. */
export const servedInbox = (box: Box, inbox: string) => {
  const psk = new Secret(randomBytes(32))
  box.write("sealwire.key", KeyText.encode(SharedKey, psk))
  const socket = box.path("server.sock")
  return {
    start: async (options?: Options): Promise<Running> => {
      return box.listen(["serve", "--listen", `unix:${socket}`, "--inbox", inbox], options)
    },
    client: () =>
      new Resender(
        Effect.gen(function* () {
          const connection = yield* (yield* Transport).connect(unix(socket))
          return yield* Channel.connect(
            connection,
            { serverName: "", application, psk },
            { opening: "message" }
          )
        })
      )
  }
}

/** Returns the IDs of the messages in an inbox. */
export const idsIn = (
  layer: ReturnType<typeof SqliteInbox.layer>
): Promise<ReadonlyArray<string>> =>
  Effect.flatMap(InboxMessages, (messages) =>
    messages.list({ limit: 1_000_000, textBytes: 0 })
  ).pipe(
    Effect.map((found) => found.map(({ id }) => Hex.encode(id))),
    Effect.provide(layer),
    Effect.runPromise
  )

/** Expects every acknowledged message once, and no message that was not sent. */
export const expectStored = (ids: ReadonlyArray<string>, clients: ReadonlyArray<Resender>) => {
  const stored = new Set(ids)
  expect(stored.size).toBe(ids.length)
  for (const { acknowledged, sent } of clients) {
    for (const id of acknowledged) expect(stored.has(id)).toBe(true)
    for (const id of sent) stored.delete(id)
  }
  expect(stored.size).toBe(0)
}

/**
 * Kills the server at random times while two clients send; returns the clients, whose messages are
 * all acknowledged.
 */
export const killRepeatedly = async (
  box: Box,
  inbox: string,
  kills: number,
  env: Readonly<Record<string, string>> = {}
) => {
  box.useProcesses("serve")
  const { start, client } = servedInbox(box, inbox)
  const clients = [client(), client()]
  const flows = clients.map(({ run }) => Effect.runPromise(run))
  for (let kill = 0; kill < kills; kill++) {
    const before = clients.map(({ acknowledged }) => acknowledged.size)
    const server = await start({ env })
    while (clients.every(({ acknowledged }, index) => acknowledged.size === before[index]))
      await sleep(5)
    await sleep(Math.random() * 100)
    await server.crash()
  }
  await start({ env })
  for (const one of clients) one.stop()
  await within(Promise.all(flows), "the last receipts")
  return clients
}
