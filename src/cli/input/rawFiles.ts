// Files without a header: one Cobblestone-256 message, or what openssl enc reads and writes.
import * as Options from "@effect/cli/Options"
import type * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Hex from "../../bytes/Hex.ts"
import { beginMessage } from "../../files/Cobblestone.ts"
import { NotForThisKey } from "../../files/FileErrors.ts"
import type { Input } from "../../files/Input.ts"
import * as InsecureOpenSslEnc from "../../files/InsecureOpenSslEnc.ts"
import type { Output } from "../../files/Output.ts"
import * as Payload from "../../files/Payload.ts"
import { InsecureAes128Cbc } from "../../classic/InsecureAes128Cbc.ts"
import { loadKey, loadFileKey } from "../arguments/fileKeys.ts"
import * as shared from "../arguments/options.ts"

export const options = {
  raw: Options.boolean("raw").pipe(
    Options.withDescription(
      "No header: exactly one message of c2sp.org/chunked-encryption (Cobblestone-256) under the file key."
    )
  ),
  context: Options.text("context").pipe(
    Options.withPseudoName("TEXT"),
    Options.optional,
    Options.withDescription(
      "With --raw: the context that the reader has to know, as text or hex:DIGITS. Default: empty."
    )
  ),
  openssl: Options.boolean("openssl").pipe(
    Options.withDescription(
      `What openssl enc -aes-128-cbc -K … -iv … reads and writes, with a classic key (default: ${InsecureAes128Cbc.keyFile}). ` +
        "Nothing protects it from change."
    )
  )
}

export interface Flags {
  readonly raw: boolean
  readonly context: Option.Option<string>
  readonly openssl: boolean
  readonly key: Option.Option<string>
}

/** Whether a file has no header, and the options fit that: `headed` are those given that only a file with one has. */
export const isHeaderless = (
  { raw, context, openssl }: Flags,
  headed: ReadonlyArray<string>
): Effect.Effect<boolean, ValidationError.ValidationError> => {
  if (raw && openssl) return shared.usageError("--raw and --openssl are two formats; one at a time")
  if (Option.isSome(context) && !raw) return shared.usageError("--context goes with --raw")
  if ((raw || openssl) && headed.length > 0)
    return shared.usageError(
      `${raw ? "--raw" : "--openssl"} has no header, and knows nothing of ${headed.join(", ")}`
    )
  return Effect.succeed(raw || openssl)
}

export const encrypt = <E>(
  given: Flags,
  input: Input,
  output: Output<E>,
  meter: Payload.ByteCounter
) =>
  Effect.gen(function* () {
    if (given.openssl)
      return yield* flow(
        InsecureOpenSslEnc.encrypt(yield* classicKey(given), metered(input, meter)),
        output
      )
    const key = yield* loadFileKey(given.key)
    yield* Payload.sealInto(
      input,
      output,
      Buffer.alloc(0),
      beginMessage(key.expose(), yield* contextOf(given.context)),
      meter
    )
  })

export const decrypt = <E>(
  given: Flags,
  input: Input,
  output: Output<E>,
  meter: Payload.ByteCounter
) =>
  Effect.gen(function* () {
    if (given.openssl)
      return yield* flow(
        InsecureOpenSslEnc.decrypt(yield* classicKey(given), metered(input, meter), input.name),
        output
      )
    const key = yield* loadFileKey(given.key)
    const detail =
      "it is not encrypted with this key and context (or its first 56 bytes were changed)"
    const wrongKey = new NotForThisKey({ file: input.name, detail })
    const context = yield* contextOf(given.context)
    yield* Payload.openInto(input, output, { key: key.expose(), context, at: 0, wrongKey }, meter)
  })

/** As events tell it. */
export const eventFields = ({ raw }: Flags) => ({ kind: raw ? "raw" : "openssl", recipients: 1 })

const flow = <E1, E2>(bytes: Stream.Stream<Uint8Array, E1>, output: Output<E2>) =>
  Stream.runForEach(bytes, output.write)

const metered = ({ rest }: Input, meter: Payload.ByteCounter) =>
  Stream.tap(rest, ({ length }) => Effect.sync(() => meter.add(length)))

const classicKey = ({ key }: Flags) =>
  Effect.zipRight(
    Effect.logWarning(
      "aes-128-cbc has no integrity and a fixed IV: anyone can change the file unseen, and see where two begin alike. " +
        "Use it only for openssl enc and the origin's programs; without --openssl changes are noticed"
    ),
    loadKey(
      Option.getOrElse(key, () => InsecureAes128Cbc.keyFile),
      InsecureAes128Cbc.key
    )
  )

const contextOf = (
  given: Option.Option<string>
): Effect.Effect<Uint8Array, ValidationError.ValidationError> => {
  const text = Option.getOrElse(given, () => "")
  const bytes = text.startsWith("hex:") ? Hex.decode(text.slice(4)) : Buffer.from(text)
  return bytes === undefined
    ? shared.optionError("context", "after hex: come hexadecimal digits, two a byte")
    : Effect.succeed(bytes)
}
