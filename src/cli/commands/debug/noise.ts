// Bare Noise with whatever program is on the other end: to find out which of two implementations is wrong.
import { randomBytes } from "node:crypto"
import { readFile } from "node:fs/promises"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Hex from "../../../bytes/Hex.ts"
import * as Printable from "../../../bytes/Printable.ts"
import {
  ChannelTampered,
  PeerDead,
  StreamTruncated,
  type ChannelError
} from "../../../channel/ChannelErrors.ts"
import * as RawNoise from "../../debug/RawNoise.ts"
import { KeyUnavailable, type KeyLoadError } from "../../../keys/KeyErrors.ts"
import { Identity, SharedKey, type KeyKind } from "../../../keys/KeyKind.ts"
import { KeyStore } from "../../../keys/KeyStore.ts"
import { algorithms, parseProtocol as protocolOf } from "../../../noise/Protocol.ts"
import * as Address from "../../../transports/Address.ts"
import type { Connection } from "../../../transports/Connection.ts"
import { Transport } from "../../../transports/index.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import { Report } from "../../output/Report.ts"
import { jsonRecord } from "../../output/events/index.ts"

const limits = {
  ...RawNoise.limits,
  /** How long the initiator waits for an echo, and for the peer's end after its own. */
  echoDeadline: "10 seconds"
} as const

/** What is sent without --messages-file, in bytes. */
const defaultSizes = [0, 1, 100, limits.messageBytes]

// ---- the command line

const refuse = (name: string, detail: string) =>
  Effect.fail(ValidationError.invalidValue(HelpDoc.p(`--${name}: ${detail}`)))

const text = (name: string, pseudo: string, description: string) =>
  Options.text(name).pipe(Options.withPseudoName(pseudo), Options.withDescription(description))

const file = (name: string, description: string) =>
  Options.optional(text(name, "FILE", description))

const address = (name: string, description: string) =>
  text(name, "ADDRESS", description).pipe(
    Options.mapEffect((given) =>
      Either.mapLeft(Address.parse(given), ({ message }) => message).pipe(
        Either.match({
          onLeft: (message) => refuse(name, message),
          onRight: (parsed) => Effect.succeed(parsed)
        })
      )
    ),
    Options.optional
  )

const asked = Options.all({
  plain: Options.boolean("plain").pipe(
    Options.withDescription("No hello, no records: bare Noise. The only mode there is.")
  ),
  protocol: text(
    "pattern",
    "PATTERN",
    `Pattern and modifiers: XXpsk3 means Noise_XXpsk3_${algorithms}.`
  ).pipe(
    Options.mapEffect((name) => {
      const found = protocolOf(`Noise_${name}_${algorithms}`)
      return found === undefined
        ? refuse("pattern", `there is no pattern "${Printable.line(name)}"`)
        : Effect.succeed(found)
    })
  ),
  initiator: text("role", "ROLE", "initiator (it sends) or responder (it echoes).").pipe(
    Options.mapEffect((role) =>
      role === "initiator" || role === "responder"
        ? Effect.succeed(role === "initiator")
        : refuse("role", `"${Printable.line(role)}" is none of initiator, responder`)
    )
  ),
  listen: address("listen", "Where to wait for one connection."),
  to: address("to", "Or where to connect to."),
  prologue: file("prologue-file", "The prologue, byte for byte. Default: empty."),
  staticKey: file(
    "static-file",
    "This side's private key: 32 bytes, 64 hexadecimal digits, or an X25519 PEM."
  ),
  remote: file("remote-file", "The peer's public key: 32 bytes or 64 hexadecimal digits."),
  psk: file(
    "psk-file",
    "The pre-shared key: 32 bytes or 64 hexadecimal digits; of several one after the other."
  ),
  messages: file(
    "messages-file",
    `What the initiator sends: hexadecimal, a line a message. Default: ${defaultSizes.join(", ")} bytes.`
  ),
  rekeyAfter: text("rekey-after", "N", "Rekey each direction after every N of its messages.").pipe(
    Options.mapEffect((count) =>
      /^[1-9]\d{0,8}$/.test(count)
        ? Effect.succeed(Number(count))
        : refuse("rekey-after", "write a number, at least 1")
    ),
    Options.optional
  )
})
type Asked = typeof asked extends Options.Options<infer A> ? A : never

/** Everything that can be known before there is a connection is refused before there is one. */
const checked = ({
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
}: Asked) =>
  Effect.gen(function* () {
    const needs = RawNoise.requiredKeys(protocol, initiator)
    if (!plain) return yield* refuse("plain", "is the only mode there is; say so")
    if (Option.isSome(listen) === Option.isSome(to))
      return yield* refuse("listen", "give either this or --to")
    if (needs.staticKey && Option.isNone(staticKey))
      return yield* refuse("static-file", `${protocol.name} needs it`)
    if (needs.remoteStatic && Option.isNone(files.remote))
      return yield* refuse("remote-file", `${protocol.name} needs it`)
    if (Option.isSome(psk) !== needs.psks > 0)
      return yield* refuse(
        "psk-file",
        `${protocol.name} ${needs.psks > 0 ? "needs it" : "has no psk"}`
      )
    if (Option.isSome(messages) && !initiator)
      return yield* refuse("messages-file", "only the initiator sends")
    return {
      protocol,
      initiator,
      needs,
      place: {
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
type Plan = Effect.Effect.Success<ReturnType<typeof checked>>

/** A file that holds no secret. */
const contentOf = (name: string, path: Option.Option<string>) =>
  Option.match(path, {
    onNone: () => Effect.succeed(undefined),
    onSome: (path) =>
      Effect.catchAll(
        Effect.tryPromise({
          try: () => readFile(path),
          catch: (cause) => (cause as NodeJS.ErrnoException).code ?? "unknown"
        }),
        (code) => refuse(name, `${Printable.line(path)} cannot be read (${code})`)
      )
  })

const publicKeyOf = (content: Buffer | undefined) => {
  const bytes =
    content === undefined || content.length === 32
      ? content
      : Hex.decode(content.toString("latin1").trim())
  return content === undefined || bytes?.length === 32
    ? Effect.succeed(bytes)
    : refuse("remote-file", "holds neither 32 bytes nor 64 hexadecimal digits")
}

const messagesOf = (content: Buffer | undefined) => {
  if (content === undefined)
    return Effect.succeed(defaultSizes.map((size): Uint8Array => randomBytes(size)))
  const lines = content.toString("latin1").replace(/\n$/, "").split("\n")
  return Effect.forEach(lines, (line, index) => {
    const message = Hex.decode(line.trim())
    return message !== undefined && message.length <= limits.messageBytes
      ? Effect.succeed(message)
      : refuse(
          "messages-file",
          `line ${index + 1} is not the hexadecimal of at most ${limits.messageBytes} bytes`
        )
  })
}

// ---- secrets: files that this user alone can read

/** Of no kind that Sealwire uses for anything else, whose text forms are refused by name. */
const privateKey = { ...Identity, name: "Noise private key", raw: true }
const preSharedKeys = (count: number) => {
  const length = SharedKey.length * count
  return {
    ...SharedKey,
    name: `Noise pre-shared key${count > 1 ? ` (${count} in a row)` : ""}`,
    raw: true,
    length,
    nonZeroBytes: length
  }
}

const loaded = <Key>(path: string, kind: KeyKind<Key>): Effect.Effect<Key, KeyLoadError> =>
  Effect.flatMap(KeyStore, (store) => store.load(kind)).pipe(
    Effect.catchTag(
      "KeyFileMissing",
      () =>
        new KeyUnavailable({
          reference: path,
          reason: "no such file",
          hint: `put ${kind.length} bytes or their hexadecimal there`
        })
    ),
    Effect.provide(KeyStore.layerFile(path))
  )

// ---- one connection

interface Count {
  messages: number
  bytes: number
}

/** Sends each message and waits for its echo, where there can be one; then both ends. */
const ask = (
  plain: RawNoise.RawNoise,
  peer: string,
  { protocol, messages, rekeyAfter }: Plan,
  count: Count
) =>
  Effect.gen(function* () {
    const receive = Effect.timeoutFail(plain.receive, {
      duration: limits.echoDeadline,
      onTimeout: () => new PeerDead({ peer })
    })
    for (const message of messages) {
      yield* plain.send(message)
      count.messages++
      count.bytes += message.length
      const rekeys = count.messages % rekeyAfter === 0
      if (rekeys) yield* plain.rekey("send")
      if (protocol.pattern.oneWay) continue
      const echo = yield* receive
      if (echo === undefined)
        return yield* new StreamTruncated({ peer, code: `ended before echo ${count.messages}` })
      if (Buffer.compare(echo, message) !== 0)
        return yield* new ChannelTampered({
          peer,
          detail: `echo ${count.messages} is not what was sent`
        })
      if (rekeys) yield* plain.rekey("receive")
    }
    yield* plain.end
    if ((yield* receive) !== undefined)
      return yield* new ChannelTampered({ peer, detail: "a message after the last echo" })
  })

/** Sends back what comes, where it may, until the peer ends. */
const answer = (plain: RawNoise.RawNoise, { protocol, rekeyAfter }: Plan, count: Count) =>
  Effect.gen(function* () {
    for (;;) {
      const message = yield* plain.receive
      if (message === undefined) break
      count.messages++
      count.bytes += message.length
      const rekeys = count.messages % rekeyAfter === 0
      if (rekeys) yield* plain.rekey("receive")
      if (protocol.pattern.oneWay) continue
      yield* plain.send(message)
      if (rekeys) yield* plain.rekey("send")
    }
    yield* plain.end
  })

type Failure = ChannelError

/** Handshake, messages, and the line that tells of them. */
const converse = (
  connection: Connection,
  plan: Plan,
  keys: Pick<RawNoise.RawNoiseOptions, "staticKey" | "psks">
) =>
  Effect.gen(function* () {
    const report = yield* Report
    const { protocol, initiator, prologue, remoteStatic } = plan
    const plain = yield* RawNoise.open(connection, {
      hello: "none",
      protocol,
      initiator,
      ...keys,
      ...(prologue === undefined ? {} : { prologue }),
      ...(remoteStatic === undefined ? {} : { remoteStatic })
    })
    const count: Count = { messages: 0, bytes: 0 }
    const talk: Effect.Effect<void, Failure> = initiator
      ? ask(plain, connection.peer, plan, count)
      : answer(plain, plan, count)
    const done = yield* Effect.either(talk)
    yield* report.print(
      jsonRecord("noise-session", {
        protocol: protocol.name,
        role: initiator ? "initiator" : "responder",
        handshakeHash: Hex.encode(plain.handshakeHash),
        remoteStatic: plain.remoteStatic === undefined ? null : Hex.encode(plain.remoteStatic),
        ...count,
        ok: Either.isRight(done)
      })
    )
    yield* done
  })

/** The first connection to come; the others are turned away. */
const first = <R>(
  address: Address.Address,
  use: (connection: Connection) => Effect.Effect<void, Failure, R>
) =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const outcome = yield* Deferred.make<void, Failure>()
    let taken = false
    const listener = yield* transport.listen(address, (connection) =>
      Effect.suspend(() => {
        if (taken) return connection.abort
        taken = true
        return use(connection).pipe(
          Effect.onError(() => connection.abort),
          // A Ctrl-C is not kept waiting by a peer that says nothing.
          Effect.raceFirst(Effect.zipRight(connection.draining, Effect.interrupt)),
          Effect.intoDeferred(outcome),
          Effect.asVoid
        )
      })
    )
    yield* Effect.logInfo(`listening on ${Address.format(listener.address)} for one connection`)
    yield* Deferred.await(outcome)
  })

export const debugNoise = commandSpec(
  ["debug", "noise"],
  "bare Noise with any program that speaks it; prints the handshake hash (a diagnosis, not a channel)",
  [
    [
      "sealwire debug noise --plain --pattern XX --role responder --listen 127.0.0.1:8080 --static-file ./noise.key",
      "echoes"
    ],
    [
      "sealwire debug noise --plain --pattern NNpsk0 --role initiator --to /run/noise.sock --psk-file ./psk",
      "sends, and checks the echo"
    ]
  ],
  { plan: asked.pipe(Options.mapEffect(checked)) },
  ({ plan }) =>
    Effect.gen(function* () {
      const { place, needs } = plan
      const staticKey =
        plan.staticKey === undefined ? undefined : yield* loaded(plan.staticKey, privateKey)
      const psk =
        plan.psk === undefined ? undefined : yield* loaded(plan.psk, preSharedKeys(needs.psks))
      const psks =
        psk === undefined
          ? []
          : Array.from({ length: needs.psks }, (_, index) =>
              psk.slice(32 * index, 32 * (index + 1))
            )
      const keys = { psks, ...(staticKey === undefined ? {} : { staticKey }) }
      const use = (connection: Connection) => converse(connection, plan, keys)
      if (place.listen) return yield* first(place.address, use)
      const transport = yield* Transport
      yield* Effect.flatMap(transport.connect(place.address), use)
    }).pipe(Effect.scoped, Effect.provide(Transport.layerNet))
)
