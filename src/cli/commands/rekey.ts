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
  "change who can read an encrypted file: a new header, and the content as it is",
  [
    [
      "sealwire rekey ./plan.sealed --to alice --to carol",
      "for these two from now on, in its place"
    ],
    [
      "sealwire rekey ./db.sealed --old-key ./old.key --key ./new.key",
      "from one file key to another"
    ],
    ["sealwire rekey ./plan.sealed --to alice --deep", "with a new key for the content, too"]
  ],
  {
    file: Args.text({ name: "FILE" }).pipe(Args.withDescription("The encrypted file.")),
    ...fileKeys.recipientOptions,
    key: fileKeys.keyOption("key", "For whoever has this file key from now on"),
    oldKey: fileKeys.keyOption("old-key", "The file key that opens it now, where one does"),
    identity: options.identity,
    deep: Options.boolean("deep").pipe(
      Options.withDescription(
        "Encrypt the content anew, too: whoever could read it before may have kept its key."
      )
    ),
    output: Options.text("output").pipe(
      Options.withAlias("o"),
      Options.withPseudoName("FILE"),
      Options.optional,
      Options.withDescription("Where it goes, and the old one stays. Without it: in its place.")
    ),
    overwrite: fileStreams.options.overwrite,
    json: options.json
  },
  ({ file, oldKey, deep, output: elsewhere, overwrite, json, ...given }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const input = yield* Input.fromFile(file)
      if (input.file === undefined)
        return yield* new FileUnreadable({ file, detail: "is no regular file" })
      const opened = yield* EncryptedFile.unlock(
        input,
        // The identity may be that of who writes it anew.
        fileKeys.openingKeys({ key: oldKey, identity: given.identity }, file, { key: "old-key" })
      )
      const to = yield* fileKeys.loadRecipients(given, file)
      const { stats } = input.file
      const output = yield* Option.match(elsewhere, {
        onNone: () => Output.toFile(file, { overwrite: true, mode: 0o600, attributes: stats }),
        onSome: (other) => Output.toFile(other, { overwrite, mode: 0o666 })
      })
      const written = yield* fileStreams.run(input, output, (meter) =>
        (deep ? EncryptedFile.reencrypt : EncryptedFile.rekey)(input, output, opened, to, meter)
      )
      const said = { file, output: output.name, to: written.kind, recipients: written.recipients }
      yield* report.emit(deep ? Event.FileReencrypted(said) : Event.FileRekeyed(said), {
        json,
        wire: false,
        exact: false
      })
    }).pipe(Effect.scoped)
)
