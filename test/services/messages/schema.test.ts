// Messages that are values of a schema, over sockets in memory.
import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import * as MessageClient from "../../../src/services/messages/MessageClient.ts"
import { MessageRefused } from "../../../src/services/messages/MessageErrors.ts"
import * as MessageService from "../../../src/services/messages/MessageService.ts"
import * as Server from "../../../src/services/Server.ts"
import type { Service, SessionFailure } from "../../../src/services/Service.ts"
import { waitUntil, withTimeout } from "../../../src/testing/steps.ts"
import { Transport } from "../../../src/transports/index.ts"
import { anyPort, dialKeys, serverKeys, suiteOf } from "../../channel/rig.ts"

class Order extends Schema.Class<Order>("Order")({
  item: Schema.NonEmptyString,
  count: Schema.Int,
  due: Schema.Date,
  lines: Schema.Array(Schema.Struct({ price: Schema.Finite }))
}) {}

const order = (count: number) =>
  new Order({ item: "tea", count, due: new Date(86_400_000), lines: [{ price: 1.5 }] })

const memory = Effect.provide(Transport.layerMemory())

/** Connects to a server with this service; returns the session, and the errors of the server. */
const connected = <E extends SessionFailure>(service: Service<E>) =>
  Effect.gen(function* () {
    const ends: Array<string> = []
    const { address } = yield* Server.listen({
      address: anyPort,
      keys: serverKeys,
      services: [service],
      on: (event) =>
        Effect.sync(() => {
          if (event._tag === "SessionEnded") ends.push(event.error?.message ?? "")
        })
    })
    const client = yield* MessageClient.connect({ address, keys: dialKeys(suiteOf("IK")) })
    return { client, ends }
  })

const collecting = (into: Array<Order>) =>
  MessageService.schema(Order, (value) => Effect.sync(() => void into.push(value)))

describe("messages of a schema", () => {
  it.scopedLive("arrive as values, in order", () =>
    Effect.gen(function* () {
      const received: Array<Order> = []
      const { client } = yield* connected(collecting(received))
      const orders = MessageClient.schema(client, Order)
      yield* withTimeout("the receipts", orders.send([order(1), order(2)]))
      yield* withTimeout("the receipt", orders.send([order(3)]))
      expect(received).toEqual([order(1), order(2), order(3)])
      expect(received[0]).toBeInstanceOf(Order)
    }).pipe(memory)
  )

  it.scopedLive.prop(
    "arrive as what was sent, for any value",
    { values: FastCheck.array(Arbitrary.make(Order), { maxLength: 5 }) },
    ({ values }) =>
      Effect.gen(function* () {
        const valid = values.filter(({ due }) => !Number.isNaN(due.getTime()))
        const received: Array<Order> = []
        const { client } = yield* connected(collecting(received))
        yield* withTimeout("the receipts", MessageClient.schema(client, Order).send(valid))
        // JSON knows no -0.
        expect(JSON.stringify(received)).toEqual(JSON.stringify(valid))
      }).pipe(Effect.scoped, memory),
    { fastCheck: { numRuns: 20 } }
  )

  const refused: Readonly<Record<string, readonly [text: Uint8Array, reason: string]>> = {
    "a text that is not UTF-8": [Buffer.from([0x22, 0xff, 0x22]), "the schema"],
    "a text that is not JSON": [Buffer.from("{"), "the schema"],
    "JSON of another shape": [Buffer.from('"secret"'), "the schema"],
    "a field of another type": [
      Buffer.from('{"item":"tea","count":1.5,"due":"1970-01-02T00:00:00Z","lines":[]}'),
      "the schema, at count"
    ],
    "a nested field": [
      Buffer.from(
        '{"item":"tea","count":1,"due":"1970-01-02T00:00:00Z","lines":[{"price":"secret"}]}'
      ),
      "the schema, at lines.0.price"
    ]
  }
  for (const [name, [text, reason]] of Object.entries(refused))
    it.scopedLive(`refuse ${name}, and acknowledge those before it`, () =>
      Effect.gen(function* () {
        const received: Array<Order> = []
        const { client, ends } = yield* connected(collecting(received))
        const sound = Buffer.from(JSON.stringify(order(1)))
        const failed = yield* withTimeout(
          "the receipt",
          Effect.flip(client.send([sound, text, sound]))
        )
        expect(failed).toMatchObject({ _tag: "NotTaken", status: "refused", handled: 1 })
        expect(received).toEqual([order(1)])
        yield* waitUntil("the end", () => ends.length === 1)
        expect(ends).toEqual([`message refused: its text does not match ${reason}`])
      }).pipe(memory)
    )

  it.scopedLive("are not sent if one of them does not encode", () =>
    Effect.gen(function* () {
      const received: Array<Order> = []
      const { client } = yield* connected(collecting(received))
      const orders = MessageClient.schema(client, Order)
      const wrong = { ...order(2), count: 1.5 } as Order
      expect(yield* Effect.flip(orders.send([order(1), wrong]))).toMatchObject({
        _tag: "ParseError"
      })
      yield* withTimeout("the receipt", orders.send([order(3)]))
      expect(received).toEqual([order(3)])
    }).pipe(memory)
  )

  it.scopedLive("have a receipt each: a failure repeats nothing that was handled", () =>
    Effect.gen(function* () {
      const service = MessageService.schema(Schema.Number, (value) =>
        value === 3 ? new MessageRefused({ reason: "it is 3", retry: true }) : Effect.void
      )
      const { client } = yield* connected(service)
      const numbers = MessageClient.schema(client, Schema.Number)
      expect(
        yield* withTimeout("the failure", Effect.flip(numbers.send([1, 2, 3, 4])))
      ).toMatchObject({ _tag: "NotTaken", status: "later", handled: 2 })
    }).pipe(memory)
  )

  it.scopedLive("are answered with values of another schema", () =>
    Effect.gen(function* () {
      const service = MessageService.schema(Order, () => Effect.void, {
        reply: {
          schema: Schema.DateFromString,
          handle: ({ due, count }) =>
            count < 0
              ? new MessageRefused({ reason: "nothing is ordered" })
              : Effect.succeed(new Date(due.getTime() + count))
        }
      })
      const { client } = yield* connected(service)
      const orders = MessageClient.schema(client, Order, { reply: Schema.DateFromString })
      expect(yield* withTimeout("the reply", orders.request(order(5)))).toEqual(
        new Date(86_400_005)
      )
      expect(
        yield* withTimeout("the refusal", Effect.flip(orders.request(order(-1))))
      ).toMatchObject({ _tag: "NotTaken", status: "refused" })
    }).pipe(memory)
  )

  class Stock extends Context.Tag("test/Stock")<Stock, { readonly left: number }>() {}

  it.scopedLive("may have a schema and a handler with requirements", () =>
    Effect.gen(function* () {
      const Counted = Schema.transformOrFail(Schema.Int, Schema.Int, {
        strict: true,
        decode: (count) => Effect.map(Stock, ({ left }) => Math.min(count, left)),
        encode: (count) => Effect.succeed(count)
      })
      const received: Array<number> = []
      const service = MessageService.schema(Counted, (count) =>
        Effect.map(Stock, ({ left }) => void received.push(count, left))
      )
      const { address } = yield* Server.listen({
        address: anyPort,
        keys: serverKeys,
        services: [service]
      })
      const client = yield* MessageClient.connect({ address, keys: dialKeys(suiteOf("IK")) })
      yield* withTimeout("the receipt", MessageClient.schema(client, Counted).send([7]))
      expect(received).toEqual([4, 4])
    }).pipe(Effect.provideService(Stock, { left: 4 }), memory)
  )
})
