import * as Args from "@effect/cli/Args"
import * as Effect from "effect/Effect"
import * as Client from "../../programs/Client.ts"
import { limits } from "../../programs/MessageFrame.ts"
import * as Address from "../../transports/Address.ts"
import { Transport } from "../../transports/Transport.ts"
import { entry } from "../Entry.ts"
import { textsOf } from "../input.ts"
import * as options from "../options.ts"
import * as Reach from "../Reach.ts"
import { Report } from "../Report.ts"
import { Event } from "../words.ts"

export const send = entry(
  ["send"],
  "send messages; done when the server has handled them",
  [
    ["sealwire send", `sends "Hello Server!" to ${options.originAddress}: by its pinned key, else with ${options.sharedKeyFile}`],
    ['sealwire send "one" "two" --to server.example:8080', "two messages over one channel"],
    ["sealwire send hi --to server.example:8080 --accept-new", "first contact by identity: pins the server's key"],
    ["date | sealwire send", "standard input is the message, byte for byte"]
  ],
  {
    messages: Args.text({ name: "MESSAGE" }).pipe(
      Args.repeated,
      Args.withDescription('The texts; - reads standard input. Without one: what is piped in, else "Hello Server!".')
    ),
    ...Reach.options,
    padding: options.padding,
    json: options.json
  },
  ({ messages, padding, json, ...given }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const tell = (event: Event) => report.tell(event, { json, wire: false, exact: false })
      const texts = yield* textsOf(messages, limits.messageBytes)
      const bytes = texts.reduce((sum, { length }) => sum + length, 0)
      const address = Address.format(given.to)
      yield* Reach.reach(
        given,
        tell,
        (how) => Client.connect({ ...how, padding }),
        ({ channel, send }) =>
          Effect.zipRight(send(texts), tell(Event.Delivered({ address, messages: texts.length, bytes, suite: channel.suite })))
      )
    }).pipe(Effect.provide(Transport.layerNet))
)
