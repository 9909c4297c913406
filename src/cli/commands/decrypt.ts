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
  {
    path: ["decrypt"],
    group: "Files",
    summary: "decrypt a file and show its sender",
    examples: [
      [
        "sealwire decrypt ./plan.sealed -o ./plan.pdf",
        "with your identity; ./plan.pdf is created after all of it is verified"
      ],
      ["sealwire decrypt ./plan.sealed --sender alice > plan.pdf", "only if alice is the sender"],
      [
        "sealwire decrypt photos.sealed | tar x",
        "a stream; exit code 6 if it was changed or truncated"
      ],
      [
        "sealwire decrypt ./db.sealed --file-key ./sealwire-file.key -o ./db.dump",
        "with a file key"
      ]
    ]
  },
  {
    ...fileStreams.options,
    key: fileKeys.keyOption(
      "file-key",
      "Decrypt with this file key (with --openssl: this classic key)"
    ),
    identity: options.identity,
    sender: fileKeys.senderOption,
    ...rawFiles.options
  },
  (flags) =>
    Effect.gen(function* () {
      const report = yield* Report
      const isHeaderless = yield* rawFiles.isHeaderless(flags, [
        ...(Option.isSome(flags.identity) ? ["--identity"] : []),
        ...(Option.isSome(flags.sender) ? ["--sender"] : [])
      ])
      const input = yield* fileStreams.openInput(flags)
      const unlocked = isHeaderless
        ? undefined
        : yield* EncryptedFile.unlock(
            input,
            fileKeys.openingKeys(flags, input.name, { key: "file-key", identity: "identity" })
          )
      if (unlocked !== undefined)
        yield* fileKeys.checkSender(flags.sender, unlocked.origin, input.name)
      // The content is confidential: only this user may read it.
      const output = yield* fileStreams.openOutput(flags, { mode: 0o600, isText: true })
      yield* fileStreams.run(input, output, (counter) =>
        unlocked === undefined
          ? rawFiles.decrypt(flags, input, output, counter)
          : EncryptedFile.decrypt(input, output, unlocked, counter)
      )
      const origin = unlocked?.origin
      const name = yield* fileKeys.senderName(origin?.sender, yield* Clock.currentTimeMillis)
      yield* report.emit(
        Event.FileDecrypted({ file: input.name, output: output.name, origin, name }),
        {
          json: flags.json,
          wire: false,
          exact: false
        }
      )
    }).pipe(Effect.scoped)
)
