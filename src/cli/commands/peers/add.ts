import { shown } from "../../../bytes/excerpt.ts"
import * as Operand from "../../arguments/Operand.ts"
import * as Flag from "../../arguments/Flag.ts"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as PeerEdits from "../../../peers/PeerEdits.ts"
import * as PeerFiles from "../../../peers/PeerFiles.ts"
import { formatAuthorized, formatKnown, type PeersInvalid } from "../../../peers/Peers.ts"
import * as PublicKey from "../../../keys/PublicKey.ts"
import { ruleOptions } from "../../../services/builtin/index.ts"
import * as Address from "../../../transports/Address.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as KnownPeers from "../../../peers/KnownPeers.ts"
import * as PeersFile from "../../connection/PeersFile.ts"
import { Report } from "../../output/Report.ts"
import { Event } from "../../output/events/index.ts"

export const peersAdd = commandSpec(
  {
    path: ["peers", "add"],
    group: "Keys and peers",
    summary: "authorize a client key, or pin a server key with --known",
    examples: [
      ["sealwire peers add alice sealwire1…", "authorize the client with this key as alice"],
      [
        `sealwire peers add bob sealwire1… --options 'from="10.0.0.0/8",expiry-time="2027-01-01"'`,
        "only from these addresses and until this date"
      ],
      [
        "sealwire peers add mail sealwire1… --known --address mail.example:8080",
        "pin the key of the server at this address"
      ]
    ],
    loadsKey: false
  },
  {
    ...PeersFile.options,
    name: Operand.text("NAME").pipe(
      Operand.withDescription(
        "Name of the peer. A name that exists gets another key, so that keys can be replaced one at a time."
      )
    ),
    key: Operand.text("KEY").pipe(
      Operand.withDescription("Public key of the peer (sealwire1…), as sealwire pubkey shows it.")
    ),
    keyOptions: Flag.text("options").pipe(
      Flag.withValue("OPTIONS"),
      Flag.withDefault(""),
      Flag.withDescription(
        `Rules for this key, separated by commas: ${ruleOptions()
          .map(({ name, summary }) => `${name} (${summary})`)
          .join("; ")}. ` +
          "With --known: retiring (the date at which the key becomes invalid), revoked."
      )
    ),
    address: Flag.text("address").pipe(
      Flag.withValue("ADDRESS"),
      Flag.optional,
      Flag.withDescription("With --known: address of the server, as for send --to.")
    )
  },
  ({ json, name, key, keyOptions, address, ...which }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const file = PeersFile.fileOf(which)
      const publicKey = PublicKey.decode(key)
      if (publicKey === undefined)
        return yield* refused(
          "KEY is not a public key (sealwire1…); to show it, run sealwire pubkey on the peer's machine"
        )
      yield* PeersFile.checkName(name)
      const serverAddress = yield* serverAddressOf(file.known, address)
      const line =
        serverAddress === undefined
          ? formatAuthorized(publicKey, name, keyOptions)
          : formatKnown(serverAddress, publicKey, name, keyOptions)
      yield* checkLine(file, line, { name, publicKey, address: serverAddress })

      const keys = yield* PeerFiles.edit(file.path, file.parse, (text, peers) => {
        const existing = peers.find(
          (peer) =>
            peer.address === serverAddress && Buffer.compare(peer.publicKey, publicKey) === 0
        )
        return existing === undefined
          ? Either.right({
              text: PeerEdits.append(text, line),
              result: peers.filter((peer) => peer.name === name).length + 1
            })
          : Either.left(
              refused(
                `${shown(file.path)}:${existing.line} already has this key, ${existing.revoked ? "revoked, " : ""}as ${existing.name}`
              )
            )
      })
      yield* report.emit(
        Event.PeerAdded({ file: file.path, name, publicKey, keys }),
        PeersFile.outputMode(json)
      )
    })
)

const refused = (detail: string) => new PeersFile.PeersUnchanged({ detail })

/** The normalized address of a server; undefined for a client. */
const serverAddressOf = (known: boolean, address: Option.Option<string>) =>
  Effect.gen(function* () {
    if (known !== Option.isSome(address))
      return yield* refused(
        known
          ? "--known requires --address, the address of the server"
          : "--address requires --known"
      )
    return Option.isSome(address)
      ? KnownPeers.addressOf(yield* Address.parse(address.value))
      : undefined
  })

/**
 * Fails unless the line parses to exactly this peer: options or an address with blanks, line ends
 * or a comment sign must not add another peer or hide this one.
 */
const checkLine = (
  file: PeersFile.PeersFile,
  line: string,
  { name, publicKey, address }: Pick<PeersFile.PeerEntry, "name" | "publicKey" | "address">
): Effect.Effect<void, PeersInvalid | PeersFile.PeersUnchanged> =>
  Effect.flatMap(file.parse("--options", line), ([peer, ...more]) =>
    peer?.name === name &&
    Buffer.compare(peer.publicKey, publicKey) === 0 &&
    peer.address === address &&
    more.length === 0 &&
    !/[\r\n]/.test(line)
      ? Effect.void
      : refused(
          "options and address must form one line: no blanks outside quotes, no # at the beginning"
        )
  )
