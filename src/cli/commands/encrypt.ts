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

export const encrypt = commandSpec(
  ["encrypt"],
  "encrypt a file for others, for a file key, or for a passphrase",
  [
    [
      "sealwire encrypt ./plan.pdf --to alice --to sealwire1… --output ./plan.sealed",
      "for two, who learn that it is from you"
    ],
    [
      "tar c ./photos | sealwire encrypt --passphrase > photos.sealed",
      "a stream of any length, under a passphrase"
    ],
    [
      "sealwire encrypt ./db.dump --key ./sealwire-file.key -o ./db.sealed",
      "with a key of sealwire keygen --file-key"
    ],
    [
      "sealwire encrypt ./hello.txt --openssl -o ./hello.bin",
      "as openssl enc -aes-128-cbc does, for the origin's programs"
    ]
  ],
  {
    ...fileStreams.options,
    ...fileKeys.recipientOptions,
    key: fileKeys.keyOption(
      "key",
      "For whoever has this file key (with --openssl: this classic key)"
    ),
    identity: options.identity,
    ...rawFiles.options
  },
  (given) =>
    Effect.gen(function* () {
      const report = yield* Report
      const headless = yield* rawFiles.isHeaderless(given, [
        ...(given.to.length > 0 ? ["--to"] : []),
        ...(given.anonymous ? ["--anonymous"] : []),
        ...(given.passphrase ? ["--passphrase"] : []),
        ...(Option.isSome(given.identity) ? ["--identity"] : [])
      ])
      const named = Option.getOrElse(given.output, () => "the encrypted file")
      const to = headless ? undefined : yield* fileKeys.loadRecipients(given, named)
      const input = yield* fileStreams.openInput(given)
      // As many may read it as the umask says: it is encrypted.
      const output = yield* fileStreams.openOutput(given, { mode: 0o666, isText: false })
      const written = yield* fileStreams.run(input, output, (meter) =>
        Effect.gen(function* () {
          if (to !== undefined) return yield* EncryptedFile.encrypt(input, output, to, meter)
          yield* rawFiles.encrypt(given, input, output, meter)
          return rawFiles.eventFields(given)
        })
      )
      const { kind, recipients } = written
      yield* report.emit(
        Event.FileEncrypted({ file: input.name, output: output.name, to: kind, recipients }),
        {
          json: given.json,
          wire: false,
          exact: false
        }
      )
    }).pipe(Effect.scoped)
)
