import * as Operand from "../arguments/Operand.ts"
import * as Flag from "../arguments/Flag.ts"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as EncryptedFile from "../../files/EncryptedFile.ts"
import { FileUnreadable } from "../../files/FileErrors.ts"
import * as Input from "../../files/Input.ts"
import * as Output from "../../files/Output.ts"
import { commandSpec } from "../arguments/CommandSpec.ts"
import * as fileStreams from "../input/fileStreams.ts"
import * as fileKeys from "../arguments/fileKeys.ts"
import * as options from "../arguments/options.ts"
import { Report } from "../output/Report.ts"
import { Event } from "../output/events/index.ts"

export const rekey = commandSpec(
  {
    path: ["rekey"],
    group: "Files",
    summary: "change the recipients of an encrypted file",
    about: "The content is re-encrypted only with --deep.",
    examples: [
      ["sealwire rekey ./plan.sealed -r alice -r carol", "replace the recipients, in place"],
      [
        "sealwire rekey ./db.sealed --old-file-key ./old.key --file-key ./new.key",
        "replace the file key"
      ],
      ["sealwire rekey ./plan.sealed -r alice --deep", "re-encrypt the content too"]
    ]
  },
  {
    file: Operand.text("FILE").pipe(
      Operand.completing("file"),
      Operand.withDescription("Encrypted file.")
    ),
    ...fileKeys.recipientOptions,
    key: fileKeys.keyOption("file-key", "New file key"),
    oldKey: fileKeys.keyOption("old-file-key", "Current file key"),
    identity: options.identity,
    deep: Flag.boolean("deep").pipe(
      Flag.withDescription(
        "Re-encrypt the content with a new key: former recipients may have kept the old one."
      )
    ),
    output: Flag.text("output").pipe(
      Flag.completing("file"),
      Flag.withShort("o"),
      Flag.withValue("FILE"),
      Flag.optional,
      Flag.withDescription("Output file; the input stays. Without it the input is replaced.")
    ),
    overwrite: fileStreams.options.overwrite,
    json: options.json
  },
  ({ file, oldKey, deep, output: elsewhere, overwrite, json, ...given }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const input = yield* Input.fromFile(file)
      if (input.file === undefined)
        return yield* new FileUnreadable({ file, detail: "is not a regular file" })
      const unlocked = yield* EncryptedFile.unlock(
        input,
        // --identity is not an unused option here: it may name the sender of the new header.
        fileKeys.openingKeys({ key: oldKey, identity: given.identity }, file, {
          key: "old-file-key"
        })
      )
      // It opened the file, or is the sender of the new header.
      const hasUse =
        unlocked.origin.reader !== undefined || (given.recipient.length > 0 && !given.anonymous)
      if (Option.isSome(given.identity) && !hasUse)
        return yield* options.optionError(
          "identity",
          "has no effect: neither the old nor the new header has a sender or recipients"
        )
      const to = yield* fileKeys.loadRecipients(given, file)
      const output = yield* Option.match(elsewhere, {
        onNone: () => Output.toFile(file, { overwrite: true, mode: 0o600 }),
        onSome: (other) => Output.toFile(other, { overwrite, mode: 0o666 })
      })
      const written = yield* fileStreams.run(input, output, (counter) =>
        (deep ? EncryptedFile.reencrypt : EncryptedFile.rekey)(input, output, unlocked, to, counter)
      )
      const fields = { file, output: output.name, to: written.kind, recipients: written.recipients }
      yield* report.emit(deep ? Event.FileReencrypted(fields) : Event.FileRekeyed(fields), {
        json,
        wire: false,
        exact: false
      })
    }).pipe(Effect.scoped)
)
