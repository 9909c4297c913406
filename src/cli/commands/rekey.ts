import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
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
  ["rekey"],
  "change the recipients of an encrypted file without re-encrypting its content",
  [
    ["sealwire rekey ./plan.sealed --to alice --to carol", "replace the recipients, in place"],
    ["sealwire rekey ./db.sealed --old-key ./old.key --key ./new.key", "replace the file key"],
    ["sealwire rekey ./plan.sealed --to alice --deep", "re-encrypt the content too"]
  ],
  {
    file: Args.text({ name: "FILE" }).pipe(Args.withDescription("Encrypted file.")),
    ...fileKeys.recipientOptions,
    key: fileKeys.keyOption("key", "New file key"),
    oldKey: fileKeys.keyOption("old-key", "Current file key"),
    identity: options.identity,
    deep: Options.boolean("deep").pipe(
      Options.withDescription(
        "Re-encrypt the content with a new key: former recipients may have kept the old one."
      )
    ),
    output: Options.text("output").pipe(
      Options.withAlias("o"),
      Options.withPseudoName("FILE"),
      Options.optional,
      Options.withDescription("Output file; the input stays. Default: replace the input.")
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
        fileKeys.openingKeys({ key: oldKey, identity: given.identity }, file, { key: "old-key" })
      )
      // It opened the file, or is the sender of the new header.
      const hasUse =
        unlocked.origin.reader !== undefined || (given.to.length > 0 && !given.anonymous)
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
