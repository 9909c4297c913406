import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Client from "../../programs/Client.ts"
import { Delivery } from "../../programs/Delivery.ts"
import { limits } from "../../programs/MessageFrame.ts"
import * as Address from "../../transports/Address.ts"
import { Transport } from "../../transports/Transport.ts"
import { entry } from "../Entry.ts"
import * as Input from "../input.ts"
import * as options from "../options.ts"
import * as Reach from "../Reach.ts"
import { Report } from "../Report.ts"
import { Event, progressOf } from "../words.ts"

/** How long a delivery that was under way is tried again, unless told otherwise. */
const defaultRetry = "30 seconds"

export const send = entry(
  ["send"],
  "send messages; done when the server has handled them",
  [
    ["sealwire send", `sends "Hello Server!" to ${options.originAddress}: by its pinned key, else with ${options.sharedKeyFile}`],
    ['sealwire send "one" "two" --to server.example:8080', "two messages over one channel"],
    ["sealwire send hi --to server.example:8080 --accept-new", "first contact by identity: pins the server's key"],
    ["date | sealwire send", "standard input is the message, byte for byte"],
    ["tail -f app.log | sealwire send --lines --retry 1h", "each line a message, through restarts of the server"]
  ],
  {
    messages: Args.text({ name: "MESSAGE" }).pipe(
      Args.repeated,
      Args.withDescription('The texts; - reads standard input. Without one: what is piped in, else "Hello Server!".')
    ),
    lines: Options.boolean("lines").pipe(
      Options.withDescription("Each line of standard input is a message, sent as it comes; its newline is not part of it.")
    ),
    ...Reach.options,
    retry: options
      .duration(
        "retry",
        "How long to go on, without progress, when the connection is lost; what has no receipt is sent again, and handled once. " +
          `Given, it holds for the first connection too. 0 gives up at once. Default: ${defaultRetry}, once connected.`,
        0
      )
      .pipe(Options.optional),
    padding: options.padding,
    json: options.json
  },
  ({ messages, lines, retry, padding, json, ...given }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const tell = (event: Event) => report.tell(event, { json, wire: false, exact: false })
      if (lines && messages.length > 0) return yield* options.misused("--lines reads its messages from standard input alone")
      const next = yield* lines ? Input.lines(limits.messageBytes) : once(messages)
      const reachable = yield* Reach.prepare(given)
      const address = Address.format(given.to)
      const delivery = new Delivery()
      let bytes = 0
      const feed = Effect.gen(function* () {
        for (let texts = yield* next; texts !== undefined; texts = yield* next) {
          for (const { length } of texts) bytes += length
          yield* delivery.offer(texts)
        }
        // What came before a line that is none is delivered all the same.
      }).pipe(Effect.ensuring(delivery.complete), Effect.either)
      let suite = ""
      const deliver = delivery.run(
        (use) =>
          Reach.reach(
            reachable,
            tell,
            (how) => Client.connect({ ...how, padding }),
            (client) => {
              suite = client.channel.suite
              return use(client)
            }
          ),
        { deadline: Option.getOrElse(retry, () => defaultRetry), fromTheFirst: Option.isSome(retry) },
        ({ message }, millis) => tell(Event.Retrying({ address, reason: message, millis, acknowledged: delivery.acknowledged }))
      )
      // Where a person types the lines, nothing is drawn over them.
      const isShown = lines && !json && !process.stdin.isTTY
      const [, fed] = yield* Effect.all([deliver, feed], { concurrency: 2 }).pipe(
        isShown ? report.whileShown(() => progressOf(delivery)) : (effect) => effect
      )
      yield* fed
      yield* tell(Event.Delivered({ address, messages: delivery.acknowledged, bytes, suite }))
    }).pipe(Effect.provide(Transport.layerNet))
)

/** The texts, and then nothing more. */
const once = (messages: ReadonlyArray<string>) =>
  Effect.map(Input.textsOf(messages, limits.messageBytes), (texts) => {
    let left: ReadonlyArray<Uint8Array> | undefined = texts
    return Effect.sync(() => {
      const now = left
      left = undefined
      return now
    })
  })
