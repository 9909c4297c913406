import * as Operand from "../../arguments/Operand.ts"
import * as Flag from "../../arguments/Flag.ts"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { Cipher } from "../../../classic/Cipher.ts"
import { KeyStore } from "../../../keys/KeyStore.ts"
import * as Classic from "../../../classic/Classic.ts"
import * as Address from "../../../transports/Address.ts"
import { Transport } from "../../../transports/index.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as input from "../../input/standardInput.ts"
import * as options from "../../arguments/options.ts"
import { Report } from "../../output/Report.ts"
import { Event } from "../../output/events/index.ts"

export const classicSend = commandSpec(
  {
    path: ["classic", "send"],
    group: "Classic",
    summary: "send a message to the origin's server, or to classic serve",
    examples: [
      ["sealwire classic send", `sends "${input.originText}" to 127.0.0.1:8080 with ./aes_key.bin`],
      [
        'sealwire classic send "see you at 5" --to server.example:8080',
        "send another message to another server"
      ],
      ["date | sealwire classic send", "send standard input as one message, byte for byte"]
    ]
  },
  {
    message: Operand.text("MESSAGE").pipe(
      Operand.optional,
      Operand.withDescription(
        `Message; - reads standard input. Default: piped input, none if it is empty; without a pipe "${input.originText}".`
      )
    ),
    to: options.address("to", "Address of the server."),
    key: options.key,
    cipher: options.cipher,
    anyLength: Flag.boolean("any-length").pipe(
      Flag.withDescription(
        "Allow more than the 1,023 bytes that the origin's server accepts (classic serve accepts 8 MiB)."
      )
    ),
    wire: options.wire,
    json: options.json
  },
  ({ message, to, key, cipher, anyLength, wire, json }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const [text] = yield* input.readMessages(Option.toArray(message), Classic.limits.messageBytes)
      if (text === undefined) return
      const sent = yield* Classic.send({ address: to, text, anyLength })
      yield* report.emit(
        Event.ClassicMessageSent({
          address: Address.format(to),
          bytes: text.length,
          wire: sent.wire
        }),
        {
          json,
          wire,
          exact: false
        }
      )
    }).pipe(
      Effect.provide(Layer.merge(Cipher.layer(cipher), Transport.layerNet)),
      Effect.provide(KeyStore.layerReference(Option.getOrElse(key, () => cipher.keyFile)))
    )
)
