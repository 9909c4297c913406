import { hostname } from "node:os"
import * as Args from "@effect/cli/Args"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Code from "../../bytes/Code.ts"
import { Secret } from "../../bytes/Secret.ts"
import { Identity } from "../../keys/KeyKind.ts"
import * as Descriptor from "../../keys/Descriptor.ts"
import { KeyStore } from "../../keys/KeyStore.ts"
import * as PeerName from "../../peers/PeerName.ts"
import * as Pairing from "../../services/pairing/Pairing.ts"
import * as Address from "../../transports/Address.ts"
import { Transport } from "../../transports/index.ts"
import type { CommandError } from "../arguments/CommandError.ts"
import { commandSpec } from "../arguments/CommandSpec.ts"
import * as KnownPeers from "../../peers/KnownPeers.ts"
import * as options from "../arguments/options.ts"
import * as PairedPeer from "../connection/PairedPeer.ts"
import * as PeersFile from "./peers/PeersFile.ts"
import { askCode, chooseName } from "../input/pairing.ts"
import * as prompt from "../input/prompt.ts"
import { Report } from "../output/Report.ts"
import { Event } from "../output/events/index.ts"

/** Refused without a word of what was given: a code in the arguments is seen by every user of the machine, and stays in the history. */
const codeGiven = HelpDoc.p(
  "one ADDRESS at most, and never the code: others can see the arguments. Type it when you are asked, pipe it in, or use --code-fd"
)

const oneAddress = (
  texts: ReadonlyArray<string>
): Effect.Effect<Option.Option<Address.Address>, HelpDoc.HelpDoc> => {
  const [text] = texts
  if (text === undefined) return Effect.succeedNone
  if (texts.length > 1 || Code.looksLike(text)) return Effect.fail(codeGiven)
  const parsed = Address.parse(text)
  if (Either.isLeft(parsed)) return Effect.fail(HelpDoc.p(parsed.left.message))
  return parsed.right._tag === "Inherited"
    ? Effect.fail(HelpDoc.p(options.onlyForListening))
    : Effect.succeedSome(parsed.right)
}

export const pair = commandSpec(
  ["pair"],
  "make two machines known to each other, with a code of one use",
  [
    [
      "sealwire pair --listen 0.0.0.0:8080",
      "where sealwire serve will be: shows a code, and waits"
    ],
    ["sealwire pair server.example:8080", "on the other machine: asks for that code"],
    [
      "pass show code | sealwire pair server.example:8080 --as mail",
      "without a person: the code piped in, the name given"
    ]
  ],
  {
    address: Args.text({ name: "ADDRESS" }).pipe(
      Args.repeated,
      Args.mapEffect(oneAddress),
      Args.withDescription(
        "Where the other side waits. Without it this side waits, and shows the code."
      )
    ),
    listen: options.optionalAddress(
      "listen",
      `Where to wait, without ADDRESS; default ${options.originAddress}.`,
      true
    ),
    authorized: options.authorizedPeers,
    known: options.optionalAddress(
      "for",
      "With ADDRESS: where sealwire serve is reached there, when that is another address."
    ),
    identity: options.identity,
    as: Options.text("as").pipe(
      Options.withPseudoName("NAME"),
      Options.optional,
      Options.withDescription("What the other side is to be called here, without asking.")
    ),
    yes: Options.boolean("yes").pipe(
      Options.withDescription("Call the other side what it calls itself, without asking.")
    ),
    codeFd: Options.text("code-fd").pipe(
      Options.withPseudoName("N"),
      // Not repeated in the refusal: it may be the code itself.
      Options.mapEffect((text) =>
        Option.match(Option.fromNullable(Descriptor.parse(text)), {
          onNone: () => options.optionError("code-fd", "this is no number of a file descriptor"),
          onSome: Effect.succeed
        })
      ),
      Options.optional,
      Options.withDescription(
        "With ADDRESS: the code is the first line of this open file descriptor."
      )
    ),
    json: options.json
  },
  ({ address, listen, authorized, known, identity, as, yes, codeFd, json }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const tell = (event: Event) => report.emit(event, { json, wire: false, exact: false })
      const hosting = Option.isNone(address)
      const strays: ReadonlyArray<readonly [option: string, given: boolean]> = hosting
        ? [
            ["--for", Option.isSome(known)],
            ["--code-fd", Option.isSome(codeFd)]
          ]
        : [
            ["--listen", Option.isSome(listen)],
            ["--authorized-peers", Option.isSome(authorized)]
          ]
      const stray = strays.find(([, given]) => given)
      if (stray !== undefined)
        return yield* options.usageError(
          `${stray[0]} is for the side ${hosting ? "with an" : "without"} ADDRESS`
        )
      const given = Option.getOrUndefined(as)
      if (given !== undefined && !PeerName.isName(given))
        return yield* options.usageError(`--as: this is no name; a name is ${PeerName.expected}`)
      if (given === undefined && !yes && !prompt.isAvailable())
        return yield* options.usageError(
          "there is nobody to ask what the other side is to be called; say it with --as NAME, or take its own word with --yes"
        )

      const book: PairedPeer.Book = hosting
        ? { file: PeersFile.fileOf({ known: false, file: authorized }), address: undefined }
        : {
            file: PeersFile.fileOf({ known: true, file: Option.none() }),
            address: KnownPeers.addressOf(Option.getOrElse(known, () => address.value))
          }
      if (book.address !== undefined && !KnownPeers.isPinnable(book.address))
        return yield* options.usageError(
          "an address with a blank in it, or that begins with #, cannot be pinned; use another path"
        )
      // What cannot be read now could not be written afterwards.
      yield* PeersFile.read(book.file)
      const code = hosting ? Secret.random(Code.length) : yield* askCode(codeFd)
      const pair = yield* identityOf(identity, tell)

      const common = {
        code,
        identity: pair,
        suggestion: PeerName.of(hostname().split(".", 1)[0] ?? "", "sealwire"),
        confirm: (partner: Pairing.Partner) =>
          Effect.gen(function* () {
            yield* tell(Event.PartnerVerified(partner))
            const place = yield* PairedPeer.find(book, partner.publicKey)
            const name = yield* chooseName(place, partner.suggestion, given, yes)
            if (name !== undefined)
              yield* Effect.logInfo("confirmed here; waiting for the other side to confirm")
            return name
          })
      }
      const meet: Effect.Effect<Pairing.Paired, CommandError, Transport> = hosting
        ? host(
            Option.getOrElse(listen, () => options.origin),
            common,
            tell
          )
        : Pairing.join({ ...common, address: address.value })
      const { publicKey, name } = yield* meet
      const entered = yield* PairedPeer.enter(book, publicKey, name)
      yield* tell(
        Event.PairingCompleted({
          address: book.address,
          publicKey,
          file: book.file.path,
          ...entered
        })
      )
    }).pipe(Effect.provide(Transport.layerNet))
)

const host = <E>(
  address: Address.Address,
  common: Omit<Pairing.PairOptions<E>, "address">,
  tell: (event: Event) => Effect.Effect<void>
) =>
  Pairing.host({
    ...common,
    address,
    on: Pairing.HostEvent.$match({
      Listening: ({ address }) =>
        tell(
          Event.PairingListening({
            address: Address.format(address),
            lasts: Pairing.limits.codeDeadline,
            reachable: !Address.isLoopback(address),
            code: Code.encode(common.code)
          })
        ),
      ConnectionRefused: (stranger) => tell(Event.ConnectionRefused(stranger))
    })
  })

/** This side's key pair; made when there is none, because a first contact is what pairing is. */
const identityOf = (given: Option.Option<string>, tell: (event: Event) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    if (Option.isNone(given)) yield* options.createConfigFolder
    const store = yield* KeyStore
    if (yield* store.createIfMissing(Identity))
      yield* tell(Event.KeyCreated({ reference: store.reference, kind: Identity.name }))
    return yield* store.load(Identity)
  }).pipe(Effect.provide(KeyStore.layerReference(options.identityReference(given))))
