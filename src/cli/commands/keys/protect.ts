import * as Effect from "effect/Effect"
import * as KeyFile from "../../../keys/KeyFile.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as keyFile from "../../arguments/keyFile.ts"
import * as options from "../../arguments/options.ts"
import { Report } from "../../output/Report.ts"
import { Event } from "../../output/events/index.ts"

export const keysProtect = commandSpec(
  {
    path: ["keys", "protect"],
    group: "Keys and peers",
    summary: "protect a key file with a passphrase",
    examples: [
      ["sealwire keys protect ./server.key", "ask for the new passphrase, twice"],
      [
        "sealwire keys protect ./server.key --passphrase-fd 3",
        "read it from a file descriptor: 3< FILE"
      ]
    ]
  },
  { file: options.keyFile, json: options.json },
  ({ file: reference, json }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const file = yield* keyFile.protectableFile(reference)
      const { name } = yield* KeyFile.protect(file)
      yield* report.emit(Event.KeyProtected({ file, kind: name }), {
        json,
        wire: false,
        exact: false
      })
    })
)
