// Where the bytes of a file come from and go to, as a command line says it.
import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import * as NodeStream from "@effect/platform-node/NodeStream"
import type * as ValidationError from "@effect/cli/ValidationError"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Printable from "../../bytes/Printable.ts"
import { FileUnreadable, type FileExists, type FileUnwritable } from "../../files/FileErrors.ts"
import * as Input from "../../files/Input.ts"
import * as Output from "../../files/Output.ts"
import { ByteCounter } from "../../files/Payload.ts"
import { fileProgress } from "../output/events/fileEvents.ts"
import * as shared from "../arguments/options.ts"
import { Report } from "../output/Report.ts"

/** What was decrypted is no text, and would go to a terminal. */
export class BinaryOnTerminal extends Data.TaggedError("BinaryOnTerminal")<{}> {
  override get message(): string {
    return "the content is no text, and would go to the terminal; name a file with --output, or insist with --output -"
  }
}

export const options = {
  file: Args.text({ name: "FILE" }).pipe(
    Args.optional,
    Args.withDescription("The file. Without one, or with -: standard input.")
  ),
  output: Options.text("output").pipe(
    Options.withAlias("o"),
    Options.withPseudoName("FILE"),
    Options.optional,
    Options.withDescription(
      "Where it goes; it appears there whole or not at all. Without it, or with -: standard output."
    )
  ),
  overwrite: Options.boolean("overwrite").pipe(Options.withDescription("Replace what is there.")),
  json: shared.json
}

export interface Flags {
  readonly file: Option.Option<string>
  readonly output: Option.Option<string>
  readonly overwrite: boolean
  readonly json: boolean
}

const isStandard = (name: Option.Option<string>): boolean =>
  Option.getOrElse(name, () => "-") === "-"

export const openInput = ({
  file
}: Flags): Effect.Effect<Input.Input, FileUnreadable, Scope.Scope> =>
  isStandard(file)
    ? Effect.zipRight(
        process.stdin.isTTY
          ? Effect.logInfo("reading what is typed; Ctrl-D at the beginning of a line ends it")
          : Effect.void,
        Input.fromStream(
          standardInput,
          NodeStream.fromReadable<FileUnreadable, Uint8Array>(() => process.stdin, unreadable)
        )
      )
    : Input.fromFile(Option.getOrElse(file, () => "-"))

const standardInput = "standard input"
const unreadable = (cause: unknown) =>
  new FileUnreadable({
    file: standardInput,
    detail: `cannot be read (${(cause as NodeJS.ErrnoException).code ?? String(cause)})`
  })

type OutputError = FileExists | FileUnwritable | BinaryOnTerminal

/** `isText`: a terminal gets what is text; else it gets nothing that was not insisted on. */
export const openOutput = (
  { output, overwrite, json }: Flags,
  { mode, isText }: { readonly mode: number; readonly isText: boolean }
): Effect.Effect<
  Output.Output<OutputError>,
  OutputError | ValidationError.ValidationError,
  Scope.Scope | Report
> =>
  Effect.gen(function* () {
    if (!isStandard(output))
      return yield* Output.toFile(
        Option.getOrElse(output, () => "-"),
        { overwrite, mode }
      )
    if (json)
      return yield* shared.optionError(
        "json",
        "standard output is for the data; name a file with --output"
      )
    const { write } = yield* Report
    const insisted = Option.isSome(output)
    const standard = { name: "standard output", write, commit: Effect.void }
    if (!process.stdout.isTTY || insisted) return standard
    if (isText) return { ...standard, write: textTo(write) }
    return yield* shared.optionError(
      "output",
      "an encrypted file is no text, and would go to the terminal; name a file, or insist with --output -"
    )
  })

/** For a terminal: text with its control characters shown, and nothing else. */
const textTo = (write: (bytes: Uint8Array) => Effect.Effect<void>) => {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
  return (bytes: Uint8Array): Effect.Effect<void, BinaryOnTerminal> =>
    Effect.try({
      try: () => decoder.decode(bytes, { stream: true }),
      catch: () => new BinaryOnTerminal()
    }).pipe(
      Effect.filterOrFail(
        (text) => !text.includes("\0"),
        () => new BinaryOnTerminal()
      ),
      Effect.flatMap((text) => write(Buffer.from(Printable.block(text))))
    )
}

/** The work, its progress shown where somebody looks on, and then the output committed. */
export const run = <A, E, E2>(
  input: Input.Input,
  output: Pick<Output.Output<E2>, "commit" | "fd">,
  work: (meter: ByteCounter) => Effect.Effect<A, E>
): Effect.Effect<A, E | E2, Report> =>
  Effect.gen(function* () {
    const { withProgress } = yield* Report
    const meter = new ByteCounter()
    meter.total = input.file?.size
    const begun = performance.now()
    const look = () =>
      fileProgress(meter.current(), meter.total, (performance.now() - begun) / 1000)
    // Nothing is drawn over what is written there.
    const isFree = output.fd !== undefined || !process.stdout.isTTY
    const done = yield* isFree ? withProgress(look)(work(meter)) : work(meter)
    if (input.file !== undefined && !(yield* input.file.isUnchanged))
      yield* Effect.logWarning(
        `${input.name} changed while it was read: what was written is neither the old nor the new one`
      )
    yield* output.commit
    return done
  })
