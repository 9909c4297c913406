import * as Operand from "../arguments/Operand.ts"
import * as Flag from "../arguments/Flag.ts"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as MessageClient from "../../services/messages/MessageClient.ts"
import { Delivery } from "../../services/messages/Delivery.ts"
import { limits } from "../../services/messages/MessageFrame.ts"
import type { Failure } from "../../services/Retry.ts"
import * as Address from "../../transports/Address.ts"
import { Transport } from "../../transports/index.ts"
import { commandSpec } from "../arguments/CommandSpec.ts"
import * as Input from "../input/standardInput.ts"
import * as options from "../arguments/options.ts"
import * as OutboxAt from "../connection/OutboxAt.ts"
import * as ServerFlags from "../connection/ServerFlags.ts"
import { Report } from "../output/Report.ts"
import { Streams } from "../Streams.ts"
import { Event } from "../output/events/index.ts"
import { deliveryProgress } from "../output/events/messageEvents.ts"

export const send = commandSpec(
  {
    path: ["send"],
    group: "Communicate",
    summary: "send messages and wait until the server has handled them",
    examples: [
      [
        "sealwire send",
        `send "Hello Server!" to ${options.originAddress}, by its pinned key or with ${options.sharedKeyFile}`
      ],
      ['sealwire send "one" "two" --to server.example:8080', "two messages over one connection"],
      [
        "sealwire send hi --to server.example:8080 --accept-new",
        "first contact with an identity: pin the server's key"
      ],
      ["date | sealwire send", "send standard input as one message, byte for byte"],
      [
        "tail -f app.log | sealwire send --lines --retry 1h",
        "send each line as a message, across restarts of the server"
      ],
      [
        'sealwire send --reply "how are you?"',
        "print the reply of a server with --inbox exec:COMMAND"
      ],
      [
        "sealwire send --outbox ./outbox.db hi",
        "store the message until the server has handled it, in this run or a later one"
      ]
    ]
  },
  {
    messages: Operand.text("MESSAGE").pipe(
      Operand.repeated,
      Operand.withDescription(
        'Messages; - reads one from standard input. Default: piped input, none if it is empty; without a pipe "Hello Server!".'
      )
    ),
    lines: Flag.boolean("lines").pipe(
      Flag.withDescription(
        "Send each line of standard input as a message, without its newline, as it arrives."
      )
    ),
    reply: Flag.boolean("reply").pipe(
      Flag.withDescription(
        "Request a reply to each message and print the replies in order, each at most " +
          `${limits.replyBytes.toLocaleString("en-US")} bytes. Only a server with --inbox exec:COMMAND gives replies; others refuse the messages.`
      )
    ),
    ...ServerFlags.options,
    to: options
      .optionalAddress("to", "Address of the server.")
      .pipe(Flag.withShownDefault(`the server of the outbox, else ${options.originAddress}`)),
    retry: options.retry("unacknowledged messages are sent again and handled once"),
    outbox: OutboxAt.option,
    padding: options.padding,
    json: options.json
  },
  ({ messages, lines, reply, retry, outbox: outboxFile, padding, json, ...flags }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const streams = yield* Streams
      const emit = (event: Event) => report.emit(event, { json, wire: false, exact: false })
      yield* checkFlags({ messages, lines, reply, outboxFile })
      if (reply) yield* report.needsOutput
      const outbox = yield* OutboxAt.open(outboxFile, emit)
      const texts = lines
        ? undefined
        : yield* Input.readMessages(
            messages,
            limits.messageBytes,
            outbox === undefined ? undefined : []
          )
      const next = yield* texts === undefined ? Input.readLines(limits.messageBytes) : once(texts)
      const named = { to: Option.getOrElse(flags.to, () => options.origin), peer: flags.peer }
      const destination =
        outbox === undefined ? named : yield* outbox.destination(flags, texts?.length === 0)
      const address = Address.format((destination ?? named).to)
      const isEmpty = outbox === undefined && texts?.length === 0
      if (destination === undefined || isEmpty)
        return yield* emit(Event.MessagesDelivered({ address, messages: 0, bytes: 0, suite: "" }))
      const server = yield* ServerFlags.prepare({ ...flags, ...destination }, emit)
      const delivery = new Delivery({ replies: reply })
      const policy = options.retryPolicy(retry)
      let suite = ""
      const connect = (use: Use) =>
        ServerFlags.connect(
          server,
          (options) => MessageClient.connect({ ...options, padding }),
          (client) => {
            suite = client.channel.suite
            return use(client)
          }
        )
      const run = delivery.run(
        connect,
        { ...policy, ...(outbox === undefined ? {} : { isUnlimited: outbox.isOpen }) },
        ({ message: reason }, millis) => {
          const { acknowledged } = delivery
          return emit(Event.RetryScheduled({ address, reason, millis, acknowledged }))
        }
      )
      // A single message is written as the whole output, without a newline.
      const exact = !lines && messages.length < 2
      const printReply = (number: number, text: Uint8Array) =>
        report.emit(Event.ReplyReceived({ number, text }), { json, wire: false, exact })
      const deliver = reply ? printReplies(delivery, run, address, printReply) : run
      // A progress line would overwrite the lines that a user types.
      const isShown = lines && !json && !reply && streams.stdin.isTTY !== true
      yield* feedAndDeliver({ next, delivery, deliver, outbox, patience: policy.deadline }).pipe(
        isShown ? report.withProgress(() => deliveryProgress(delivery)) : (effect) => effect
      )
      yield* emit(
        Event.MessagesDelivered({
          address,
          messages: delivery.acknowledged,
          bytes: delivery.textBytes,
          suite
        })
      )
    }).pipe(Effect.scoped, Effect.provide(Transport.layerNet))
)

/** The use of one session of a delivery. */
type Use = Parameters<Parameters<Delivery["run"]>[0]>[0]

interface InputFlags {
  readonly messages: ReadonlyArray<string>
  readonly lines: boolean
  readonly reply: boolean
  readonly outboxFile: Option.Option<string>
}

/** Fails for options that exclude each other. */
const checkFlags = ({ messages, lines, reply, outboxFile }: InputFlags) => {
  if (lines && messages.length > 0)
    return options.usageError(
      "--lines reads messages from standard input; remove the MESSAGE arguments"
    )
  if (reply && Option.isSome(outboxFile))
    return options.usageError(
      "--reply cannot be combined with --outbox, which stores no replies; use one of them"
    )
  return Effect.void
}

interface FeedOptions<E, R> {
  /** Returns the next messages of the input; undefined at its end. */
  readonly next: Effect.Effect<ReadonlyArray<Uint8Array> | undefined, Input.InputFailed>
  readonly delivery: Delivery
  readonly deliver: Effect.Effect<void, E, R>
  readonly outbox: OutboxAt.OutboxSession | undefined
  /** Time to wait for another process that delivers the messages of the outbox. */
  readonly patience: Duration.DurationInput
}

/**
 * Reads the input and delivers it at the same time, through the outbox if there is one. An error of
 * the input is reported after the messages before it are delivered.
 */
const feedAndDeliver = <E extends Failure, R>({
  next,
  delivery,
  deliver,
  outbox,
  patience
}: FeedOptions<E, R>) =>
  Effect.gen(function* () {
    const feed = Effect.gen(function* () {
      for (let texts = yield* next; texts !== undefined; texts = yield* next)
        yield* outbox === undefined ? delivery.offer(texts) : outbox.enqueue(texts)
    }).pipe(
      Effect.ensuring(outbox === undefined ? delivery.complete : outbox.complete),
      Effect.either
    )
    const delivering =
      outbox === undefined
        ? Effect.map(deliver, Either.right)
        : outbox.deliver(delivery, deliver, patience)
    const [delivered, fed] = yield* Effect.all([delivering, feed], { concurrency: 2 })
    yield* fed
    if (outbox !== undefined && Either.isLeft(delivered))
      yield* outbox.fail(delivered.left, delivery)
  })

/**
 * Prints replies in order while `run` delivers. When `run` fails, prints the replies received so
 * far and then fails.
 */
const printReplies = <E, R>(
  delivery: Delivery,
  run: Effect.Effect<void, E, R>,
  server: string,
  print: (number: number, text: Uint8Array) => Effect.Effect<void>
): Effect.Effect<void, E | MessageClient.ReplyLost, R> => {
  const printing = Effect.gen(function* () {
    for (let number = 1; ; number++) {
      const reply = yield* delivery.nextReply
      if (reply === undefined) return
      if (reply.text === undefined) return yield* new MessageClient.ReplyLost({ server, number })
      yield* print(number, reply.text)
    }
  })
  return Effect.flatMap(
    Effect.all([Effect.either(run), printing], { concurrency: 2 }),
    ([result]) => result
  )
}

/** Returns an effect that yields the texts once and then undefined. */
const once = (texts: ReadonlyArray<Uint8Array>) =>
  Effect.sync(() => {
    let left: ReadonlyArray<Uint8Array> | undefined = texts
    return Effect.sync(() => {
      const now = left
      left = undefined
      return now
    })
  })
