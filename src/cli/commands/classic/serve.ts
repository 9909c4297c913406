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
import * as options from "../../arguments/options.ts"
import { countRepeats } from "../../output/refusals.ts"
import { Report } from "../../output/Report.ts"
import { Event } from "../../output/events/index.ts"

/** The beginning of the cipher's warning when the server does not listen on loopback. */
const exposed = "other machines can reach this address, and "

export const classicServe = commandSpec(
  {
    path: ["classic", "serve"],
    group: "Classic",
    summary: "receive the origin's messages and print them",
    examples: [
      [
        "sealwire classic serve",
        "listen on 127.0.0.1:8080 with ./aes_key.bin, created if it is missing"
      ],
      [
        "sealwire classic serve --once > message.bin",
        "receive one message, write it byte for byte, and exit"
      ],
      [
        "sealwire classic serve --cipher aes-256-gcm --listen unix:./gcm.sock",
        "authenticated encryption, on a Unix socket"
      ]
    ]
  },
  {
    listen: options.listen,
    key: options.key,
    cipher: options.cipher,
    once: Flag.boolean("once").pipe(
      Flag.withDescription(
        "Exit after the first valid message; stdout is that message, byte for byte."
      )
    ),
    wire: options.wire,
    json: options.json
  },
  ({ listen, key, cipher, once, wire, json }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const mode = { json, wire, exact: once }
      const store = yield* KeyStore
      const onRefused = yield* countRepeats<RefusedMessage>({
        from: ({ peer }) => peer,
        reason: ({ reason }) => reason,
        emit: (refused, peer, count) =>
          report.emit(Event.ClassicMessageRefused({ ...refused, peer, count }), mode)
      })

      if (yield* store.createIfMissing(cipher.key))
        yield* report.emit(
          Event.KeyCreated({ reference: store.reference, kind: cipher.key.name }),
          mode
        )

      const serve = Classic.serve({
        address: listen,
        once,
        onEvent: Classic.ClassicServerEvent.$match({
          Listening: ({ address }) =>
            Effect.zipRight(
              cipher.danger === undefined
                ? Effect.void
                : report.emit(
                    Event.Warning({
                      text: `${Address.isLoopback(address) ? "" : exposed}${cipher.danger}`
                    }),
                    mode
                  ),
              report.emit(
                Event.ClassicListening({ address: Address.format(address), cipher: cipher.name }),
                mode
              )
            ),
          Message: (message) => report.emit(Event.ClassicMessageReceived(message), mode),
          Refused: onRefused
        })
      })
      yield* Effect.provide(serve, Layer.merge(Cipher.layer(cipher), Transport.layerNet))
    }).pipe(
      Effect.scoped,
      Effect.provide(KeyStore.layerReference(Option.getOrElse(key, () => cipher.keyFile)))
    )
)

type RefusedMessage = Pick<
  Extract<Classic.ClassicServerEvent, { readonly _tag: "Refused" }>,
  "peer" | "reason" | "bytes"
>
