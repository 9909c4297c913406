import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Printable from "../../bytes/Printable.ts"
import { expected, isName } from "../../peers/PeerName.ts"
import { Transport } from "../../transports/index.ts"
import { commandSpec } from "../arguments/CommandSpec.ts"
import * as options from "../arguments/options.ts"
import * as ServerConnection from "../connection/ServerConnection.ts"
import { Report } from "../output/Report.ts"
import { overStdio } from "../connection/TunnelEnd.ts"

const mostBytes = 240

export const target = Options.text("target").pipe(
  Options.withPseudoName("NAME"),
  // As long as fits what a channel is opened for.
  Options.mapEffect((text) =>
    isName(text) && Buffer.byteLength(text) <= mostBytes
      ? Effect.succeed(text)
      : options.optionError(
          "target",
          `"${Printable.line(text)}" is no name of a target: ${expected}`
        )
  ),
  Options.withDefault(""),
  Options.withDescription("The target, as serve --forward names it there. Default: the only one.")
)

export const pipe = commandSpec(
  ["pipe"],
  "join standard input and output to a target of a server",
  [
    [
      "sealwire pipe --to server.example:8080",
      "to its only target; done when that has ended and all it said is written"
    ],
    [
      "sealwire pipe --to server.example:8080 --target ssh",
      "as ssh's ProxyCommand: ssh -o ProxyCommand='…' server.example"
    ]
  ],
  { ...ServerConnection.options, target, padding: options.padding },
  (given) =>
    Effect.gen(function* () {
      const report = yield* Report
      return yield* overStdio(given, (event) =>
        report.emit(event, { json: false, wire: false, exact: false })
      )
    }).pipe(Effect.scoped, Effect.provide(Transport.layerNet))
)
