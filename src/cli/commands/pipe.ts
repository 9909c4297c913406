import { quoted } from "../../bytes/excerpt.ts"
import * as Flag from "../arguments/Flag.ts"
import * as Effect from "effect/Effect"
import { expectedTargetName, isTargetName } from "../../services/tunnel/rules.ts"
import { Transport } from "../../transports/index.ts"
import { commandSpec } from "../arguments/CommandSpec.ts"
import * as options from "../arguments/options.ts"
import * as ServerFlags from "../connection/ServerFlags.ts"
import { Report } from "../output/Report.ts"
import { forwardStdio } from "../connection/TunnelEnd.ts"

export const target = Flag.text("target").pipe(
  Flag.withValue("NAME"),
  Flag.mapEffect((text) =>
    isTargetName(text)
      ? Effect.succeed(text)
      : options.optionError(
          "target",
          `${quoted(text)} is not a valid target name: ${expectedTargetName}`
        )
  ),
  Flag.withDefault(""),
  Flag.withDescription("Target, as named by serve --forward.", "the only one")
)

export const pipe = commandSpec(
  {
    path: ["pipe"],
    group: "Tunnels",
    summary: "connect standard input and output to a target of a server",
    examples: [
      [
        "sealwire pipe --to server.example:8080",
        "to its only target; ends after the target has closed and all output is written"
      ],
      [
        "sealwire pipe --to server.example:8080 --target ssh",
        "as ssh's ProxyCommand: ssh -o ProxyCommand='…' server.example"
      ]
    ]
  },
  { ...ServerFlags.options, target, padding: options.padding },
  (given) =>
    Effect.gen(function* () {
      const report = yield* Report
      return yield* forwardStdio(given, (event) =>
        report.emit(event, { json: false, wire: false, exact: false })
      )
    }).pipe(Effect.scoped, Effect.provide(Transport.layerNet))
)
