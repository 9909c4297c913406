import * as Effect from "effect/Effect"
import * as KeyFile from "../../../keys/KeyFile.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as keyFile from "../../arguments/keyFile.ts"
import * as options from "../../arguments/options.ts"
import { Report } from "../../output/Report.ts"
import { Event } from "../../output/events/index.ts"

export const keysUnprotect = commandSpec(
  {
    path: ["keys", "unprotect"],
    group: "Keys and peers",
    summary: "remove the passphrase from a key file",
    examples: [
      [
        "sealwire keys unprotect ./server.key",
        "ask for the passphrase, then store the key without one"
      ]
    ]
  },
  { file: options.keyFile, json: options.json },
  ({ file: reference, json }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const file = yield* keyFile.protectableFile(reference)
      const { name } = yield* KeyFile.unprotect(file)
      yield* report.emit(Event.KeyUnprotected({ file, kind: name }), {
        json,
        wire: false,
        exact: false
      })
    })
)
