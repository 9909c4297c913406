import { shown } from "../../bytes/excerpt.ts"
import { constants } from "node:fs"
import { open } from "node:fs/promises"
import * as Operand from "../arguments/Operand.ts"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { FileFromNewer, FileTampered, FileUnreadable } from "../../files/FileErrors.ts"
import * as Prelude from "../../files/Prelude.ts"
import * as Input from "../../files/Input.ts"
import * as InlineKey from "../../keys/InlineKey.ts"
import { commandSpec } from "../arguments/CommandSpec.ts"
import { InspectFailed, detectors } from "../output/inspection.ts"
import * as options from "../arguments/options.ts"
import { Report } from "../output/Report.ts"
import { jsonRecord } from "../output/events/index.ts"

export const inspect = commandSpec(
  {
    path: ["inspect"],
    group: "Operate",
    summary: "identify keys and encrypted files; never shows a secret",
    about:
      "Shows the kind, format and fingerprint of a key, and the recipients of an encrypted file.",
    examples: [
      ["sealwire inspect ./sealwire.key", "show the kind of key"],
      ["sealwire inspect *.key --json", "one JSON object per file"],
      ["sealwire inspect ./backup.sealed", "show the recipients and the size of the content"]
    ],
    loadsKey: false
  },
  {
    files: Operand.text("FILE").pipe(
      Operand.completing("file"),
      Operand.some,
      Operand.withDescription("Files to inspect.")
    ),
    json: options.json
  },
  ({ files, json }) =>
    Effect.forEach(
      files,
      (file) =>
        Effect.gen(function* () {
          const report = yield* Report
          if (InlineKey.isInlineKey(file)) return yield* InlineKey.inlineKeyError()
          const { head, mode, size } = yield* headOf(file)
          const version = Prelude.newerVersion(head)
          if (version !== undefined) return yield* new FileFromNewer({ file, version })
          const found = detectors.map((look) => look(head, size)).find((each) => each !== undefined)
          if (found === undefined)
            return yield* new InspectFailed({
              file,
              detail: "not a Sealwire file (unrecognised header)"
            })
          const { what, secret, fields, detail } = yield* Either.mapLeft(found, (refusal) =>
            Prelude.hasMagic(head)
              ? new FileTampered({ file, detail: refusal.detail })
              : new InspectFailed({ file, ...refusal })
          )
          yield* report.printData(
            json
              ? jsonRecord("file-inspected", { file, kind: what, ...fields })
              : `${shown(file)}: ${what} (${detail})`
          )
          if (secret && (mode & 0o077) !== 0)
            yield* Effect.logWarning(
              `others can read or change ${shown(file)}; try: chmod 600 ${shown(file)}`
            )
        }),
      { discard: true }
    )
)

interface Beginning {
  readonly head: Uint8Array
  readonly mode: number
  readonly size: number
}

/**
 * Reads enough of the file to identify it. O_NONBLOCK: opening a FIFO must not wait for a writer.
 */
const headOf = (file: string): Effect.Effect<Beginning, FileUnreadable> =>
  Effect.acquireUseRelease(
    attempt(file, () => open(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY)),
    (handle) =>
      Effect.gen(function* () {
        const stats = yield* attempt(file, () => handle.stat())
        if (!stats.isFile())
          return yield* new FileUnreadable({ file, detail: "is not a regular file" })
        const { buffer, bytesRead } = yield* attempt(file, () =>
          handle.read(Buffer.alloc(maxHeadBytes))
        )
        return { head: buffer.subarray(0, bytesRead), mode: stats.mode, size: stats.size }
      }),
    (handle) => Effect.ignore(Effect.promise(() => handle.close()))
  )

/** The longest header of a file, which is longer than any key. */
const maxHeadBytes = Prelude.maxBytes

const attempt = <A>(file: string, run: () => Promise<A>) =>
  Effect.tryPromise({ try: run, catch: (cause) => Input.readError(file, cause) })
