// Files without a header: one Cobblestone-256 message, or the format of openssl enc.
import * as Flag from "../arguments/Flag.ts"
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
import { isReserved } from "../../files/reservedContexts.ts"
import { InsecureAes128Cbc } from "../../classic/InsecureAes128Cbc.ts"
import { loadKey, loadFileKey } from "../arguments/fileKeys.ts"
import * as shared from "../arguments/options.ts"

export const options = {
  raw: Flag.boolean("raw").pipe(
    Flag.withDescription(
      "Write no header: exactly one message of c2sp.org/chunked-encryption (Cobblestone-256) under the file key."
    )
  ),
  context: Flag.text("context").pipe(
    Flag.needing("--raw"),
    Flag.withValue("TEXT"),
    Flag.optional,
    Flag.withDescription(
      "With --raw: the context, as text or hex:DIGITS, which decryption must repeat.",
      "empty"
    )
  ),
  openssl: Flag.boolean("openssl").pipe(
    Flag.withDescription(
      `Use the format of openssl enc -aes-128-cbc -K … -iv …, with a classic key (default: ${InsecureAes128Cbc.keyFile}). ` +
        "INSECURE: changes are not detected."
    )
  )
}

export interface Flags {
  readonly raw: boolean
  readonly context: Option.Option<string>
  readonly openssl: boolean
  readonly key: Option.Option<string>
}

/**
 * True for a file without a header. Fails for options that do not fit; `headerOptions` are the
 * given options that only a file with a header has.
 */
export const isHeaderless = (
  { raw, context, openssl }: Flags,
  headerOptions: ReadonlyArray<string>
): Effect.Effect<boolean, ValidationError.ValidationError> => {
  if (raw && openssl) return shared.usageError("--raw and --openssl exclude each other")
  if (Option.isSome(context) && !raw) return shared.usageError("--context requires --raw")
  if ((raw || openssl) && headerOptions.length > 0)
    return shared.usageError(
      `${raw ? "--raw" : "--openssl"} writes no header and excludes ${headerOptions.join(", ")}`
    )
  return Effect.succeed(raw || openssl)
}

export const encrypt = <E>(
  flags: Flags,
  input: Input,
  output: Output<E>,
  counter: Payload.ByteCounter
) =>
  Effect.gen(function* () {
    if (flags.openssl)
      return yield* flow(
        InsecureOpenSslEnc.encrypt(yield* classicKey(flags), counted(input, counter)),
        output
      )
    const key = yield* loadFileKey(flags.key)
    yield* Payload.sealInto(
      input,
      output,
      Buffer.alloc(0),
      beginMessage(key.expose(), yield* contextOf(flags.context)),
      counter
    )
  })

export const decrypt = <E>(
  flags: Flags,
  input: Input,
  output: Output<E>,
  counter: Payload.ByteCounter
) =>
  Effect.gen(function* () {
    if (flags.openssl)
      return yield* flow(
        InsecureOpenSslEnc.decrypt(yield* classicKey(flags), counted(input, counter), input.name),
        output
      )
    const key = yield* loadFileKey(flags.key)
    const detail = "wrong key or context (or its first 56 bytes were changed)"
    const wrongKey = new NotForThisKey({ file: input.name, detail })
    const context = yield* contextOf(flags.context)
    yield* Payload.openInto(input, output, { key: key.expose(), context, at: 0, wrongKey }, counter)
  })

/** The fields of the event that reports the file. */
export const eventFields = ({ raw }: Flags) => ({
  kind: raw ? ("raw" as const) : ("openssl" as const),
  recipients: 1
})

const flow = <E1, E2>(bytes: Stream.Stream<Uint8Array, E1>, output: Output<E2>) =>
  Stream.runForEach(bytes, output.write)

const counted = ({ rest }: Input, counter: Payload.ByteCounter) =>
  Stream.tap(rest, ({ length }) => Effect.sync(() => counter.add(length)))

const classicKey = ({ key }: Flags) =>
  Effect.zipRight(
    Effect.logWarning(
      "aes-128-cbc has no integrity and a fixed IV: changes are not detected, and two files with the same beginning look alike. " +
        "Use it only for openssl enc and the origin's programs; without --openssl changes are detected"
    ),
    loadKey(
      Option.getOrElse(key, () => InsecureAes128Cbc.keyFile),
      InsecureAes128Cbc.key
    )
  )

const contextOf = (
  option: Option.Option<string>
): Effect.Effect<Uint8Array, ValidationError.ValidationError> => {
  const text = Option.getOrElse(option, () => "")
  const bytes = text.startsWith("hex:") ? Hex.decode(text.slice(4)) : Buffer.from(text)
  if (bytes === undefined)
    return shared.optionError("context", "write two hexadecimal digits per byte after hex:")
  return isReserved(bytes)
    ? shared.optionError(
        "context",
        "contexts that begin with sealwire and a blank, or with SLWF, belong to files with a header; choose another"
      )
    : Effect.succeed(bytes)
}
