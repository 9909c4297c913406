// The input and output of the file commands: files, or standard input and output.
import * as Operand from "../arguments/Operand.ts"
import * as Flag from "../arguments/Flag.ts"
import * as NodeStream from "@effect/platform-node/NodeStream"
import type * as ValidationError from "@effect/cli/ValidationError"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Printable from "../../bytes/Printable.ts"
import * as Utf8 from "../../bytes/Utf8.ts"
import { FileUnreadable, type FileExists, type FileUnwritable } from "../../files/FileErrors.ts"
import * as Input from "../../files/Input.ts"
import * as Output from "../../files/Output.ts"
import { ByteCounter } from "../../files/Payload.ts"
import { fileProgress } from "../output/events/fileEvents.ts"
import * as shared from "../arguments/options.ts"
import { readable, type InputFailed } from "./standardInput.ts"
import { Streams } from "../Streams.ts"
import { Report } from "../output/Report.ts"

/** The decrypted content is not text, and the output is a terminal. */
export class BinaryOnTerminal extends Data.TaggedError("BinaryOnTerminal")<{}> {
  override get message(): string {
    return "the content is binary and stdout is a terminal; name a file with --output, or force it with --output -"
  }
}

export const options = {
  file: Operand.text("FILE").pipe(
    Operand.completing("file"),
    Operand.optional,
    Operand.withDescription("Input file; - is standard input, the default.")
  ),
  output: Flag.text("output").pipe(
    Flag.completing("file"),
    Flag.withShort("o"),
    Flag.withValue("FILE"),
    Flag.optional,
    Flag.withDescription("Output file, created complete or not at all; - is standard output.", "-")
  ),
  overwrite: Flag.boolean("overwrite").pipe(
    Flag.needing("--output"),
    Flag.withDescription("Replace an existing file.")
  ),
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
}: Flags): Effect.Effect<Input.Input, FileUnreadable | InputFailed, Scope.Scope> =>
  isStandard(file)
    ? Effect.flatMap(readable, (stdin) =>
        Effect.zipRight(
          stdin.isTTY === true
            ? Effect.logInfo(
                "reading from the terminal; press Ctrl-D at the beginning of a line to end"
              )
            : Effect.void,
          Input.fromStream(
            standardInput,
            NodeStream.fromReadable<FileUnreadable, Uint8Array>(() => stdin, unreadable)
          )
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

/**
 * Opens the output. If it is a terminal and not forced with `--output -`, `isText` permits text,
 * with control characters escaped; otherwise it is refused.
 */
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
      return yield* shared.optionError("json", "stdout carries the data; name a file with --output")
    const { write } = yield* Report
    const { stdout } = yield* Streams
    const isForced = Option.isSome(output)
    const standard = { name: "standard output", write, commit: Effect.void }
    if (stdout.isTTY !== true || isForced) return standard
    if (isText) return { ...standard, ...textWriter(write) }
    return yield* shared.optionError(
      "output",
      "the encrypted file is binary and stdout is a terminal; name a file, or force it with --output -"
    )
  })

/** Writes UTF-8 text with its control characters escaped; fails for other bytes. */
const textWriter = (write: (bytes: Uint8Array) => Effect.Effect<void>) => {
  const decoder = Utf8.streamDecoder()
  const writeText = (decode: () => string): Effect.Effect<void, BinaryOnTerminal> =>
    Effect.try({ try: decode, catch: () => new BinaryOnTerminal() }).pipe(
      Effect.filterOrFail(
        (text) => !text.includes("\0"),
        () => new BinaryOnTerminal()
      ),
      Effect.flatMap((text) => write(Buffer.from(Printable.block(text))))
    )
  return {
    write: (bytes: Uint8Array) => writeText(() => decoder.decode(bytes, { stream: true })),
    // Fails for a truncated last character, which the decoder still holds.
    commit: Effect.suspend(() => writeText(() => decoder.decode()))
  }
}

/** Runs the work with a progress line, then commits the output. */
export const run = <A, E, E2>(
  input: Input.Input,
  output: Pick<Output.Output<E2>, "commit" | "fd">,
  work: (counter: ByteCounter) => Effect.Effect<A, E>
): Effect.Effect<A, E | E2 | FileUnreadable, Report> =>
  Effect.gen(function* () {
    const { withProgress } = yield* Report
    const { stdout } = yield* Streams
    const counter = new ByteCounter()
    counter.total = input.file?.size
    const startedAt = performance.now()
    const progressLine = () =>
      fileProgress(counter.current(), counter.total, (performance.now() - startedAt) / 1000)
    // A progress line would overwrite content on the terminal.
    const canDraw = output.fd !== undefined || stdout.isTTY !== true
    const result = yield* canDraw ? withProgress(progressLine)(work(counter)) : work(counter)
    // Before the commit: a mixture of two states never gets the name of the output.
    if (input.file !== undefined && !(yield* input.file.isUnchanged))
      return yield* new FileUnreadable({
        file: input.name,
        detail:
          "changed while it was read; the output would mix two states; run the same command again"
      })
    yield* output.commit
    return result
  })
