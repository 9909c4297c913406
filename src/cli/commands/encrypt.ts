import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as EncryptedFile from "../../files/EncryptedFile.ts"
import { commandSpec } from "../arguments/CommandSpec.ts"
import * as fileStreams from "../input/fileStreams.ts"
import * as Flag from "../arguments/Flag.ts"
import * as fileKeys from "../arguments/fileKeys.ts"
import * as options from "../arguments/options.ts"
import * as rawFiles from "../input/rawFiles.ts"
import { Report } from "../output/Report.ts"
import { Event } from "../output/events/index.ts"

export const encrypt = commandSpec(
  {
    path: ["encrypt"],
    group: "Files",
    summary: "encrypt a file to recipients, with a key or a passphrase",
    examples: [
      [
        "sealwire encrypt ./plan.pdf -r alice -r sealwire1… -o ./plan.sealed",
        "to two recipients, who can verify that you are the sender"
      ],
      [
        "tar c ./photos | sealwire encrypt -p > photos.sealed",
        "a stream of any length, with a passphrase"
      ],
      [
        "sealwire encrypt ./db.dump --file-key ./sealwire-file.key -o ./db.sealed",
        "with a key from sealwire keygen file-key"
      ],
      [
        "sealwire encrypt ./hello.txt --openssl -o ./hello.bin",
        "in the format of openssl enc -aes-128-cbc, for the origin's programs"
      ]
    ]
  },
  {
    ...fileStreams.options,
    ...fileKeys.recipientOptions,
    key: fileKeys.keyOption(
      "file-key",
      "Encrypt with this file key (with --openssl: this classic key)"
    ),
    identity: options.identity.pipe(
      Flag.excluding(["--anonymous", "--file-key", "--passphrase"], "such a file has no sender")
    ),
    ...rawFiles.options
  },
  (flags) =>
    Effect.gen(function* () {
      const report = yield* Report
      const isHeaderless = yield* rawFiles.isHeaderless(flags, [
        ...(flags.recipient.length > 0 ? ["--recipient"] : []),
        ...(flags.anonymous ? ["--anonymous"] : []),
        ...(flags.passphrase ? ["--passphrase"] : []),
        ...(Option.isSome(flags.identity) ? ["--identity"] : [])
      ])
      const reference = Option.getOrElse(flags.output, () => "the encrypted file")
      const to = isHeaderless ? undefined : yield* fileKeys.loadRecipients(flags, reference)
      const input = yield* fileStreams.openInput(flags)
      // The content is encrypted: the umask alone restricts the mode.
      const output = yield* fileStreams.openOutput(flags, { mode: 0o666, isText: false })
      const written = yield* fileStreams.run(input, output, (counter) =>
        Effect.gen(function* () {
          if (to !== undefined) return yield* EncryptedFile.encrypt(input, output, to, counter)
          yield* rawFiles.encrypt(flags, input, output, counter)
          return rawFiles.eventFields(flags)
        })
      )
      const { kind, recipients } = written
      yield* report.emit(
        Event.FileEncrypted({ file: input.name, output: output.name, to: kind, recipients }),
        {
          json: flags.json,
          wire: false,
          exact: false
        }
      )
    }).pipe(Effect.scoped)
)
