import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as EncryptedFile from "../../files/EncryptedFile.ts"
import { commandSpec } from "../arguments/CommandSpec.ts"
import * as fileStreams from "../input/fileStreams.ts"
import * as fileKeys from "../arguments/fileKeys.ts"
import * as options from "../arguments/options.ts"
import * as rawFiles from "../input/rawFiles.ts"
import { Report } from "../output/Report.ts"
import { Event } from "../output/events/index.ts"

export const decrypt = commandSpec(
  ["decrypt"],
  "decrypt a file, and say who wrote it",
  [
    [
      "sealwire decrypt ./plan.sealed --output ./plan.pdf",
      "with this user's identity; ./plan.pdf appears when all of it is proven"
    ],
    ["sealwire decrypt ./plan.sealed --from alice > plan.pdf", "only if alice wrote it"],
    [
      "sealwire decrypt photos.sealed | tar x",
      "a stream: it ends with exit code 6 where something was changed or cut off"
    ],
    ["sealwire decrypt ./db.sealed --key ./sealwire-file.key -o ./db.dump", "with a file key"]
  ],
  {
    ...fileStreams.options,
    key: fileKeys.keyOption(
      "key",
      "The file key (with --openssl: the classic key), where one opens it"
    ),
    identity: options.identity,
    from: fileKeys.senderOption,
    ...rawFiles.options
  },
  (given) =>
    Effect.gen(function* () {
      const report = yield* Report
      const headless = yield* rawFiles.isHeaderless(given, [
        ...(Option.isSome(given.identity) ? ["--identity"] : []),
        ...(Option.isSome(given.from) ? ["--from"] : [])
      ])
      const input = yield* fileStreams.openInput(given)
      const opened = headless
        ? undefined
        : yield* EncryptedFile.unlock(
            input,
            fileKeys.openingKeys(given, input.name, { key: "key", identity: "identity" })
          )
      if (opened !== undefined) yield* fileKeys.checkSender(given.from, opened.origin, input.name)
      // It was encrypted so that not everybody reads it.
      const output = yield* fileStreams.openOutput(given, { mode: 0o600, isText: true })
      yield* fileStreams.run(input, output, (meter) =>
        opened === undefined
          ? rawFiles.decrypt(given, input, output, meter)
          : EncryptedFile.decrypt(input, output, opened, meter)
      )
      const origin = opened?.origin
      const name = yield* fileKeys.senderName(origin?.sender, yield* Clock.currentTimeMillis)
      yield* report.emit(
        Event.FileDecrypted({ file: input.name, output: output.name, origin, name }),
        {
          json: given.json,
          wire: false,
          exact: false
        }
      )
    }).pipe(Effect.scoped)
)
