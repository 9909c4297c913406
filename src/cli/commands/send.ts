import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as MessageClient from "../../services/messages/MessageClient.ts"
import { Delivery } from "../../services/messages/Delivery.ts"
import { limits } from "../../services/messages/MessageFrame.ts"
import * as Address from "../../transports/Address.ts"
import { Transport } from "../../transports/index.ts"
import { commandSpec } from "../arguments/CommandSpec.ts"
import * as Input from "../input/standardInput.ts"
import * as options from "../arguments/options.ts"
import * as OutboxAt from "../connection/OutboxAt.ts"
import * as ServerConnection from "../connection/ServerConnection.ts"
import { Report } from "../output/Report.ts"
import { Event } from "../output/events/index.ts"
import { deliveryProgress } from "../output/events/messageEvents.ts"

export const send = commandSpec(
  ["send"],
  "send messages; done when the server has handled them",
  [
    [
      "sealwire send",
      `sends "Hello Server!" to ${options.originAddress}: by its pinned key, else with ${options.sharedKeyFile}`
    ],
    ['sealwire send "one" "two" --to server.example:8080', "two messages over one channel"],
    [
      "sealwire send hi --to server.example:8080 --accept-new",
      "first contact by identity: pins the server's key"
    ],
    ["date | sealwire send", "standard input is the message, byte for byte"],
    [
      "tail -f app.log | sealwire send --lines --retry 1h",
      "each line a message, through restarts of the server"
    ],
    [
      'sealwire send --reply "how are you?"',
      "prints what the server replies, where it has --inbox exec:COMMAND"
    ],
    [
      "sealwire send --outbox ./outbox.db hi",
      "kept in a file until the server has it, if need be by the next sealwire send --outbox"
    ]
  ],
  {
    messages: Args.text({ name: "MESSAGE" }).pipe(
      Args.repeated,
      Args.withDescription(
        'The texts; - reads standard input. Without one: what is piped in, else "Hello Server!".'
      )
    ),
    lines: Options.boolean("lines").pipe(
      Options.withDescription(
        "Each line of standard input is a message, sent as it comes; its newline is not part of it."
      )
    ),
    reply: Options.boolean("reply").pipe(
      Options.withDescription(
        "Asks for a reply to each message, and prints them in their order; done when all are there. A message is handled with its reply, " +
          `which has at most ${limits.replyBytes.toLocaleString("en-US")} bytes; a server with another inbox than exec: gives none, and takes none that asks.`
      )
    ),
    ...ServerConnection.options,
    to: options.optionalAddress(
      "to",
      `Where the server listens; by default where the outbox goes, else ${options.originAddress}.`
    ),
    retry: options.retry("what has no receipt is sent again, and handled once"),
    outbox: OutboxAt.option,
    padding: options.padding,
    json: options.json
  },
  ({ messages, lines, reply, retry, outbox, padding, json, ...given }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const tell = (event: Event) => report.emit(event, { json, wire: false, exact: false })
      if (lines && messages.length > 0)
        return yield* options.usageError("--lines reads its messages from standard input alone")
      if (reply && Option.isSome(outbox))
        return yield* options.usageError(
          "--reply waits for the server's reply, and --outbox for nobody; give one of them"
        )
      const kept = yield* OutboxAt.open(outbox, tell)
      const texts = lines
        ? undefined
        : yield* Input.readMessages(
            messages,
            limits.messageBytes,
            kept === undefined ? undefined : []
          )
      const next = yield* texts === undefined ? Input.readLines(limits.messageBytes) : once(texts)
      const named = { to: Option.getOrElse(given.to, () => options.origin), peer: given.peer }
      const whom = kept === undefined ? named : yield* kept.destination(given, texts?.length === 0)
      const address = Address.format((whom ?? named).to)
      if (whom === undefined)
        return yield* tell(Event.MessagesDelivered({ address, messages: 0, bytes: 0, suite: "" }))
      const server = yield* ServerConnection.prepare({ ...given, ...whom }, tell)
      const delivery = new Delivery({ replies: reply })
      const feed = Effect.gen(function* () {
        for (let texts = yield* next; texts !== undefined; texts = yield* next)
          yield* kept === undefined ? delivery.offer(texts) : kept.enqueue(texts)
        // What came before a line that is none is delivered all the same.
      }).pipe(
        Effect.ensuring(kept === undefined ? delivery.complete : kept.complete),
        Effect.either
      )
      const patience = options.retryPolicy(retry)
      let suite = ""
      const run = delivery.run(
        (use) =>
          ServerConnection.connect(
            server,
            (options) => MessageClient.connect({ ...options, padding }),
            (client) => {
              suite = client.channel.suite
              return use(client)
            }
          ),
        { ...patience, ...(kept === undefined ? {} : { isUnlimited: kept.isOpen }) },
        ({ message }, millis) =>
          tell(
            Event.RetryScheduled({
              address,
              reason: message,
              millis,
              acknowledged: delivery.acknowledged
            })
          )
      )
      // One message is the whole output, unless there may be more.
      const exact = !lines && messages.length < 2
      const give = (number: number, text: Uint8Array) =>
        report.emit(Event.ReplyReceived({ number, text }), { json, wire: false, exact })
      const heard = reply ? giveReplies(delivery, run, address, give) : run
      const deliver =
        kept === undefined
          ? Effect.map(heard, Either.right)
          : kept.deliver(delivery, run, patience.deadline)
      // Where a person types the lines, nothing is drawn over them.
      const isShown = lines && !json && !reply && !process.stdin.isTTY
      const [delivered, fed] = yield* Effect.all([deliver, feed], { concurrency: 2 }).pipe(
        isShown ? report.withProgress(() => deliveryProgress(delivery)) : (effect) => effect
      )
      yield* fed
      if (kept !== undefined && Either.isLeft(delivered))
        return yield* kept.outcome(delivered.left, delivery)
      yield* tell(
        Event.MessagesDelivered({
          address,
          messages: delivery.acknowledged,
          bytes: delivery.textBytes,
          suite
        })
      )
    }).pipe(Effect.scoped, Effect.provide(Transport.layerNet))
)

/** Gives the replies out in order while `run` goes on; those that have come also when it fails, and then that is told. */
const giveReplies = <E, R>(
  delivery: Delivery,
  run: Effect.Effect<void, E, R>,
  server: string,
  give: (number: number, text: Uint8Array) => Effect.Effect<void>
): Effect.Effect<void, E | MessageClient.ReplyLost, R> => {
  const giving = Effect.gen(function* () {
    for (let number = 1; ; number++) {
      const reply = yield* delivery.nextReply
      if (reply === undefined) return
      if (reply.text === undefined) return yield* new MessageClient.ReplyLost({ server, number })
      yield* give(number, reply.text)
    }
  })
  return Effect.flatMap(
    Effect.all([Effect.either(run), giving], { concurrency: 2 }),
    ([ended]) => ended
  )
}

/** The texts, and then nothing more. */
const once = (texts: ReadonlyArray<Uint8Array>) =>
  Effect.sync(() => {
    let left: ReadonlyArray<Uint8Array> | undefined = texts
    return Effect.sync(() => {
      const now = left
      left = undefined
      return now
    })
  })
