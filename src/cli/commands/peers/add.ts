import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as PeerEdits from "../../../peers/PeerEdits.ts"
import * as PeerFiles from "../../../peers/PeerFiles.ts"
import { formatAuthorized, formatKnown, type PeersInvalid } from "../../../peers/Peers.ts"
import * as PublicKey from "../../../keys/PublicKey.ts"
import * as Rules from "../../../peers/Rules.ts"
import * as Address from "../../../transports/Address.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as KnownPeers from "../../../peers/KnownPeers.ts"
import * as PeersFile from "./PeersFile.ts"
import { Report } from "../../output/Report.ts"
import { Event } from "../../output/events/index.ts"

export const peersAdd = commandSpec(
  ["peers", "add"],
  "let a key in under a name, or with --known take a server's key",
  [
    ["sealwire peers add alice sealwire1…", "lets in who holds that key, as alice"],
    [
      `sealwire peers add bob sealwire1… --options 'from="10.0.0.0/8",expiry-time="2027-01-01"'`,
      "from there and until then alone"
    ],
    [
      "sealwire peers add mail sealwire1… --known --address mail.example:8080",
      "knows the server there by that key"
    ]
  ],
  {
    ...PeersFile.options,
    name: Args.text({ name: "NAME" }).pipe(
      Args.withDescription(
        "What it is called. A name that is there already gets a second key: so keys are changed one at a time."
      )
    ),
    key: Args.text({ name: "KEY" }).pipe(
      Args.withDescription("Its public key, sealwire1…, as sealwire pubkey shows it there.")
    ),
    given: Options.text("options").pipe(
      Options.withPseudoName("OPTIONS"),
      Options.withDefault(""),
      Options.withDescription(
        `Rules for this key, with commas between: ${Rules.options.map(({ name, summary }) => `${name} (${summary})`).join("; ")}. ` +
          "With --known: retiring (the day from which the key is not believed), revoked."
      )
    ),
    address: Options.text("address").pipe(
      Options.withPseudoName("ADDRESS"),
      Options.optional,
      Options.withDescription("With --known: where the server is reached, as send --to has it.")
    )
  },
  ({ json, name, key, given, address, ...which }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const file = PeersFile.fileOf(which)
      const publicKey = PublicKey.decode(key)
      if (publicKey === undefined)
        return yield* refused(
          "the KEY is not a public key (sealwire1…); sealwire pubkey shows it on its own machine"
        )
      yield* PeersFile.checkName(name)
      const place = yield* placeOf(which.known, address)
      const line =
        place === undefined
          ? formatAuthorized(publicKey, name, given)
          : formatKnown(place, publicKey, name, given)
      yield* checkLine(file, line, { name, publicKey, address: place })

      const keys = yield* PeerFiles.edit(file.path, file.parse, (text, peers) => {
        const before = peers.find(
          (peer) => peer.address === place && Buffer.compare(peer.publicKey, publicKey) === 0
        )
        return before === undefined
          ? Either.right({
              text: PeerEdits.append(text, line),
              result: peers.filter((peer) => peer.name === name).length + 1
            })
          : Either.left(
              refused(
                `${file.path}:${before.line} has this key already, ${before.revoked ? "revoked, " : ""}as ${before.name}`
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

/** Where a server is reached; undefined for a client, which comes from wherever it comes. */
const placeOf = (known: boolean, address: Option.Option<string>) =>
  Effect.gen(function* () {
    if (known !== Option.isSome(address))
      return yield* refused(
        known
          ? "a server is known by its --address; where is it reached?"
          : "--address is for --known"
      )
    return Option.isSome(address)
      ? KnownPeers.addressOf(yield* Address.parse(address.value))
      : undefined
  })

/** Nothing may stand in the line but what was meant: whatever the options and the address are, they make one line with this peer. */
const checkLine = (
  file: PeersFile.PeersFile,
  line: string,
  { name, publicKey, address }: Pick<PeersFile.Listed, "name" | "publicKey" | "address">
): Effect.Effect<void, PeersInvalid | PeersFile.PeersUnchanged> =>
  Effect.flatMap(file.parse("--options", line), ([peer, ...more]) =>
    peer?.name === name &&
    Buffer.compare(peer.publicKey, publicKey) === 0 &&
    peer.address === address &&
    more.length === 0 &&
    !/[\r\n]/.test(line)
      ? Effect.void
      : refused(
          "options and address are to make one line; neither may have a blank outside of quotes, or begin with #"
        )
  )
