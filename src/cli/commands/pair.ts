import { hostname } from "node:os"
import * as Operand from "../arguments/Operand.ts"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Flag from "../arguments/Flag.ts"
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
import * as PeersFile from "../connection/PeersFile.ts"
import { askCode, chooseName } from "../input/pairing.ts"
import * as prompt from "../input/prompt.ts"
import { Report } from "../output/Report.ts"
import { connectionRefusals } from "../output/refusals.ts"
import { Event } from "../output/events/index.ts"

/**
 * Does not quote the arguments: a code among them is visible to every user of the machine and stays
 * in the shell history.
 */
const codeInArguments = HelpDoc.p(
  "one ADDRESS at most, and never the code: other users can see the arguments. Type the code when asked, pipe it in, or use --code-fd"
)

const oneAddress = (
  texts: ReadonlyArray<string>
): Effect.Effect<Option.Option<Address.Address>, HelpDoc.HelpDoc> => {
  const [text] = texts
  if (text === undefined) return Effect.succeedNone
  if (texts.length > 1 || Code.looksLike(text)) return Effect.fail(codeInArguments)
  const parsed = Address.parse(text)
  if (Either.isLeft(parsed)) return Effect.fail(HelpDoc.p(parsed.left.message))
  return parsed.right._tag === "Inherited"
    ? Effect.fail(HelpDoc.p(options.onlyForListening))
    : Effect.succeedSome(parsed.right)
}

export const pair = commandSpec(
  {
    path: ["pair"],
    group: "Keys and peers",
    summary: "exchange keys between two machines, with a one-time code",
    examples: [
      ["sealwire pair --listen 0.0.0.0:8080", "on the server: show a code and wait"],
      ["sealwire pair server.example:8080", "on the other machine: ask for that code"],
      [
        "pass show code | sealwire pair server.example:8080 --peer-name mail",
        "unattended: the code from a pipe, the name from an option"
      ]
    ]
  },
  {
    address: Operand.text("ADDRESS").pipe(
      Operand.repeated,
      Operand.mapEffect(oneAddress),
      Operand.withDescription(
        "Address of the side that shows the code. Without it this side shows a code and waits."
      )
    ),
    listen: options
      .optionalAddress("listen", "Without ADDRESS: address to listen on.", true)
      .pipe(Flag.withShownDefault(options.originAddress)),
    authorized: options.authorizedPeers,
    known: options.optionalAddress(
      "server",
      "With ADDRESS: address of the server to pin, if it differs from ADDRESS."
    ),
    identity: options.identity,
    as: Flag.text("peer-name").pipe(
      Flag.withGuesses("--as", "--name"),
      Flag.withValue("NAME"),
      Flag.optional,
      Flag.withDescription("Name for the other side, instead of a prompt.")
    ),
    yes: Flag.boolean("yes").pipe(
      Flag.withDescription("Accept the name that the other side suggests, without a prompt.")
    ),
    codeFd: Flag.text("code-fd").pipe(
      Flag.withValue("N"),
      // The error does not quote the value: it may be the code itself.
      Flag.mapEffect((text) =>
        Option.match(Option.fromNullable(Descriptor.parse(text)), {
          onNone: () => options.optionError("code-fd", "not a file descriptor number"),
          onSome: Effect.succeed
        })
      ),
      Flag.optional,
      Flag.withDescription(
        "With ADDRESS: read the code from the first line of this file descriptor."
      )
    ),
    json: options.json
  },
  (flags) =>
    Effect.gen(function* () {
      const { address, listen, identity, as, yes, codeFd, json } = flags
      yield* checkFlags(flags)
      const report = yield* Report
      const emit = (event: Event) => report.emit(event, { json, wire: false, exact: false })
      const givenName = Option.getOrUndefined(as)
      const pairingFile = yield* pairingFileOf(flags)
      // A file that cannot be read now could not be changed after the pairing.
      yield* PeersFile.read(pairingFile.file)
      const code = Option.isNone(address) ? Secret.random(Code.length) : yield* askCode(codeFd)
      const common = {
        code,
        identity: yield* loadIdentity(identity, emit),
        suggestion: PeerName.of(hostname().split(".", 1)[0] ?? "", "sealwire"),
        confirm: (partner: Pairing.Partner) =>
          Effect.gen(function* () {
            yield* emit(Event.PartnerVerified(partner))
            const lookup = yield* PairedPeer.find(pairingFile, partner.publicKey)
            const name = yield* chooseName(lookup, partner.suggestion, givenName, yes)
            if (name !== undefined)
              yield* Effect.logInfo("confirmed here; waiting for the other side to confirm")
            return name
          })
      }
      const pairing: Effect.Effect<Pairing.Paired, CommandError, Transport> = Option.match(
        address,
        {
          onNone: () =>
            host(
              Option.getOrElse(listen, () => options.origin),
              common,
              emit
            ),
          onSome: (address) => Pairing.join({ ...common, address })
        }
      )
      const { publicKey, name } = yield* pairing
      const added = yield* PairedPeer.add(pairingFile, publicKey, name)
      yield* emit(
        Event.PairingCompleted({
          address: pairingFile.address,
          publicKey,
          file: pairingFile.file.path,
          ...added
        })
      )
    }).pipe(Effect.provide(Transport.layerNet))
)

/** The options that decide which side this is, and that only one side may have. */
interface SideFlags {
  readonly address: Option.Option<Address.Address>
  readonly listen: Option.Option<Address.Address>
  readonly authorized: Option.Option<string>
  readonly known: Option.Option<Address.Address>
  readonly as: Option.Option<string>
  readonly yes: boolean
  readonly codeFd: Option.Option<number>
}

/** Refuses options of the other side, and a name that is invalid or cannot be asked for. */
const checkFlags = ({ address, listen, authorized, known, as, yes, codeFd }: SideFlags) =>
  Effect.gen(function* () {
    const hosting = Option.isNone(address)
    const otherSide: ReadonlyArray<readonly [option: string, given: boolean]> = hosting
      ? [
          ["--server", Option.isSome(known)],
          ["--code-fd", Option.isSome(codeFd)]
        ]
      : [
          ["--listen", Option.isSome(listen)],
          ["--authorized-peers", Option.isSome(authorized)]
        ]
    const misplaced = otherSide.find(([, given]) => given)
    if (misplaced !== undefined)
      return yield* options.usageError(
        `${misplaced[0]} is for the side ${hosting ? "with an" : "without"} ADDRESS`
      )
    const name = Option.getOrUndefined(as)
    if (name !== undefined && !PeerName.isName(name))
      return yield* options.usageError(`--peer-name: invalid name; a name is ${PeerName.expected}`)
    if (name === undefined && !yes && !(yield* prompt.isAvailable))
      return yield* options.usageError(
        "no terminal to ask for the other side's name; use --peer-name NAME, or --yes to accept its suggestion"
      )
    return undefined
  })

/** The file that gets the partner's key, and at the joining side the address of its server. */
const pairingFileOf = ({ address, authorized, known }: SideFlags) =>
  Effect.gen(function* () {
    if (Option.isNone(address))
      return {
        file: PeersFile.fileOf({ known: false, authorized, knownPeers: Option.none() }),
        address: undefined
      } satisfies PairedPeer.PairingFile
    const server = KnownPeers.addressOf(Option.getOrElse(known, () => address.value))
    if (!KnownPeers.isPinnable(server))
      return yield* options.usageError(
        "an address that contains a space or starts with # cannot be pinned; use another path"
      )
    return {
      file: PeersFile.defaultFileOf(true),
      address: server
    } satisfies PairedPeer.PairingFile
  })

const host = <E>(
  address: Address.Address,
  common: Omit<Pairing.PairOptions<E>, "address">,
  emit: (event: Event) => Effect.Effect<void>
) =>
  Effect.flatMap(connectionRefusals(emit), (onRefused) =>
    Pairing.host({
      ...common,
      address,
      on: Pairing.HostEvent.$match({
        Listening: ({ address }) =>
          emit(
            Event.PairingListening({
              address: Address.format(address),
              lasts: Pairing.limits.codeDeadline,
              reachable: !Address.isLoopback(address),
              code: Code.encode(common.code)
            })
          ),
        ConnectionRefused: onRefused
      })
    })
  ).pipe(Effect.scoped)

/** Loads this side's key pair, and creates a missing one: pairing is usually the first use. */
const loadIdentity = (
  reference: Option.Option<string>,
  emit: (event: Event) => Effect.Effect<void>
) =>
  Effect.gen(function* () {
    if (Option.isNone(reference)) yield* options.createConfigFolder
    const store = yield* KeyStore
    if (yield* store.createIfMissing(Identity))
      yield* emit(Event.KeyCreated({ reference: store.reference, kind: Identity.name }))
    return yield* store.load(Identity)
  }).pipe(Effect.provide(KeyStore.layerReference(options.identityReference(reference))))
