// The options of `debug noise`, their checks and their keys.
import { quoted, shown } from "../../bytes/excerpt.ts"
import { randomBytes } from "node:crypto"
import { readFile } from "node:fs/promises"
import * as Flag from "../arguments/Flag.ts"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Hex from "../../bytes/Hex.ts"
import { KeyUnavailable, type KeyLoadError } from "../../keys/KeyErrors.ts"
import { Identity, SharedKey, type KeyKind } from "../../keys/KeyKind.ts"
import { KeyStore } from "../../keys/KeyStore.ts"
import { algorithms, parseProtocol } from "../../noise/Protocol.ts"
import * as Address from "../../transports/Address.ts"
import type { Values } from "../arguments/CommandSpec.ts"
import { optionError } from "../arguments/options.ts"
import * as RawNoise from "./RawNoise.ts"

/** The lengths of the messages sent without --messages-file, in bytes. */
const defaultSizes = [0, 1, 100, RawNoise.limits.messageBytes]

const text = (name: string, pseudo: string, description: string) =>
  Flag.text(name).pipe(Flag.withValue(pseudo), Flag.withDescription(description))

const file = (name: string, description: string) => Flag.optional(text(name, "FILE", description))

const address = (name: string, description: string) =>
  text(name, "ADDRESS", description).pipe(
    Flag.mapEffect((given) =>
      Either.mapLeft(Address.parse(given), ({ message }) => message).pipe(
        Either.match({
          onLeft: (message) => optionError(name, message),
          onRight: (parsed) => Effect.succeed(parsed)
        })
      )
    ),
    Flag.optional
  )

export const flags = {
  plain: Flag.boolean("plain").pipe(
    Flag.withDescription("Raw Noise, without hello and records. Required; there is no other mode.")
  ),
  protocol: text(
    "pattern",
    "PATTERN",
    `Pattern and modifiers: XXpsk3 means Noise_XXpsk3_${algorithms}.`
  ).pipe(
    Flag.mapEffect((name) => {
      const found = parseProtocol(`Noise_${name}_${algorithms}`)
      return found === undefined
        ? optionError("pattern", `unknown pattern ${quoted(name)}`)
        : Effect.succeed(found)
    })
  ),
  initiator: text("role", "ROLE", "Side: initiator (sends) or responder (echoes).").pipe(
    Flag.mapEffect((role) =>
      role === "initiator" || role === "responder"
        ? Effect.succeed(role === "initiator")
        : optionError("role", `${quoted(role)} is not one of initiator, responder`)
    )
  ),
  listen: address("listen", "Address to accept one connection on."),
  to: address("to", "Address to connect to."),
  prologue: file("prologue-file", "Prologue, byte for byte. Without it: empty."),
  staticKey: file(
    "static-file",
    "Private key of this side: 32 bytes, 64 hexadecimal digits, or X25519 PEM."
  ),
  remote: file("remote-file", "Public key of the peer: 32 bytes or 64 hexadecimal digits."),
  psk: file(
    "psk-file",
    "Pre-shared key: 32 bytes or 64 hexadecimal digits; several keys are concatenated."
  ),
  messages: file(
    "messages-file",
    `Messages of the initiator, one per line in hexadecimal. Without it: random messages of ${defaultSizes.join(", ")} bytes.`
  ),
  rekeyAfter: text("rekey-after", "N", "Rekey each direction after every N of its messages.").pipe(
    Flag.mapEffect((count) =>
      /^[1-9]\d{0,8}$/.test(count)
        ? Effect.succeed(Number(count))
        : optionError("rekey-after", "write an integer, at least 1")
    ),
    Flag.optional
  )
}
type Flags = Values<typeof flags>

/** Checks the options as far as possible before the connection. */
export const validate = ({
  plain,
  protocol,
  initiator,
  listen,
  to,
  staticKey,
  psk,
  messages,
  rekeyAfter,
  ...files
}: Flags) =>
  Effect.gen(function* () {
    const needs = RawNoise.requiredKeys(protocol, initiator)
    if (!plain) return yield* optionError("plain", "is required")
    if (Option.isSome(listen) === Option.isSome(to))
      return yield* optionError("listen", "use either --listen or --to")
    if (needs.staticKey && Option.isNone(staticKey))
      return yield* optionError("static-file", `${protocol.name} needs it`)
    if (needs.remoteStatic && Option.isNone(files.remote))
      return yield* optionError("remote-file", `${protocol.name} needs it`)
    if (Option.isSome(psk) !== needs.psks > 0)
      return yield* optionError(
        "psk-file",
        `${protocol.name} ${needs.psks > 0 ? "needs it" : "uses no pre-shared key"}`
      )
    if (Option.isSome(messages) && !initiator)
      return yield* optionError("messages-file", "only the initiator sends")
    return {
      protocol,
      initiator,
      needs,
      endpoint: {
        listen: Option.isSome(listen),
        address: Option.getOrThrow(Option.orElse(listen, () => to))
      },
      prologue: yield* contentOf("prologue-file", files.prologue),
      remoteStatic: yield* publicKeyOf(yield* contentOf("remote-file", files.remote)),
      messages: yield* messagesOf(yield* contentOf("messages-file", messages)),
      rekeyAfter: Option.getOrElse(rekeyAfter, () => Number.POSITIVE_INFINITY),
      staticKey: Option.getOrUndefined(staticKey),
      psk: Option.getOrUndefined(psk)
    }
  })
export type Plan = Effect.Effect.Success<ReturnType<typeof validate>>

/** The content of a file without secrets. */
const contentOf = (name: string, path: Option.Option<string>) =>
  Option.match(path, {
    onNone: () => Effect.succeed(undefined),
    onSome: (path) =>
      Effect.catchAll(
        Effect.tryPromise({
          try: () => readFile(path),
          catch: (cause) => (cause as NodeJS.ErrnoException).code ?? "unknown"
        }),
        (code) => optionError(name, `${shown(path)} cannot be read (${code})`)
      )
  })

const publicKeyOf = (content: Buffer | undefined) => {
  const bytes =
    content === undefined || content.length === 32
      ? content
      : Hex.decode(content.toString("latin1").trim())
  return content === undefined || bytes?.length === 32
    ? Effect.succeed(bytes)
    : optionError("remote-file", "must be 32 bytes or 64 hexadecimal digits")
}

const messagesOf = (content: Buffer | undefined) => {
  if (content === undefined)
    return Effect.succeed(defaultSizes.map((size): Uint8Array => randomBytes(size)))
  const lines = content.toString("latin1").replace(/\n$/, "").split("\n")
  return Effect.forEach(lines, (line, index) => {
    const message = Hex.decode(line.trim())
    return message !== undefined && message.length <= RawNoise.limits.messageBytes
      ? Effect.succeed(message)
      : optionError(
          "messages-file",
          `line ${index + 1} is not hexadecimal, or longer than ${RawNoise.limits.messageBytes} bytes`
        )
  })
}

// ---- secrets, from files with mode 0600

/** A kind of its own: keys of Sealwire in text form are rejected. */
export const privateKey = { ...Identity, name: "Noise private key", raw: true }
export const preSharedKeys = (count: number) => {
  const length = SharedKey.length * count
  return {
    ...SharedKey,
    name: `Noise pre-shared key${count > 1 ? ` (${count} in a row)` : ""}`,
    raw: true,
    length,
    nonZeroBytes: length
  }
}

export const loadSecret = <Key>(
  path: string,
  kind: KeyKind<Key>
): Effect.Effect<Key, KeyLoadError> =>
  Effect.flatMap(KeyStore, (store) => store.load(kind)).pipe(
    Effect.catchTag(
      "KeyFileMissing",
      () =>
        new KeyUnavailable({
          reference: path,
          reason: "no such file",
          hint: `write ${kind.length} bytes or their hexadecimal to it`
        })
    ),
    Effect.provide(KeyStore.layerFile(path))
  )
