import * as Command from "@effect/cli/Command"
import type * as ValidationError from "@effect/cli/ValidationError"
import type * as Effect from "effect/Effect"
import type { AddressInvalid } from "../transports/Address.ts"
import type { KeyCreateError, KeyLoadError, KeyNotReplaced, PassphraseRefused } from "../keys/KeyErrors.ts"
import type { MessageTooLong } from "../programs/Classic.ts"
import type { ConnectFailed, ConnectionLost, ListenFailed, PortInUse } from "../transports/TransportErrors.ts"
import type { NoStatus } from "./commands/status.ts"
import type { ConfigInvalid } from "./Config.ts"
import type { Report } from "./Report.ts"
import type { InputFailed } from "./input.ts"
import type { InspectFailed } from "./commands/inspect.ts"

import type { ChannelError, ServerKeyChanged } from "../channel/ChannelErrors.ts"
import type { PeersInvalid } from "../keys/Peers.ts"
import type { NotTaken } from "../programs/Client.ts"
import type { Undelivered } from "../programs/Delivery.ts"
import type { PairError, PairingFailed } from "../programs/Pair.ts"
import type { MessageRefused } from "../programs/Server.ts"
import type { InboxRefused, InboxUnusable } from "../programs/InboxErrors.ts"
import type { PeersBusy } from "../keys/PeerLock.ts"
import type { IdentityNeeded, ServerKeyWithdrawn, ServerUnknown } from "./KnownServer.ts"
import type { RotationFailed, RotationOutOfTurn } from "../keys/Rotation.ts"
import type { OptionsConflict } from "./options.ts"
import type { PairingUnwritten } from "./PairedPeer.ts"
import type { MessageUnknown, NotHandled } from "./InboxAt.ts"
import type { PeerUnknown, PeersUnchanged } from "./PeersFile.ts"

/** What can end a command; `exitCodes` has a line for each. */
export type CommandError =
  | AddressInvalid
  | ConfigInvalid
  | ConnectFailed
  | ConnectionLost
  | IdentityNeeded
  | InboxRefused
  | InboxUnusable
  | InputFailed
  | InspectFailed
  | KeyCreateError
  | KeyLoadError
  | KeyNotReplaced
  | ListenFailed
  | ChannelError
  | MessageRefused
  | MessageTooLong
  | MessageUnknown
  | NoStatus
  | NotHandled
  | NotTaken
  | OptionsConflict
  | PairError
  | PairingFailed
  | PairingUnwritten
  | PassphraseRefused
  | PeerUnknown
  | PeersBusy
  | PeersInvalid
  | PeersUnchanged
  | PortInUse
  | RotationFailed
  | RotationOutOfTurn
  | ServerKeyChanged
  | ServerKeyWithdrawn
  | ServerUnknown
  | Undelivered
  | ValidationError.ValidationError

/** A command: where it stands, what it does in a line, examples that work, and what @effect/cli makes of it. */
export interface Entry {
  /** `["classic", "send"]` */
  readonly path: readonly [string, ...ReadonlyArray<string>]
  readonly summary: string
  /** A command line and what it does. The tests run each with `--help`. */
  readonly examples: ReadonlyArray<readonly [command: string, meaning: string]>
  readonly command: Command.Command<string, Report, CommandError, unknown>
}

/** An Entry whose last word names its command. */
export const entry = <const Config extends Command.Command.Config>(
  path: Entry["path"],
  summary: string,
  examples: Entry["examples"],
  config: Config,
  handler: (config: Command.Command.ParseConfig<Config>) => Effect.Effect<void, CommandError, Report>
): Entry => ({
  path,
  summary,
  examples,
  command: Command.make(path.at(-1) ?? "", config, (parsed) =>
    handler(parsed as Command.Command.ParseConfig<Config>)
  ) as Entry["command"]
})
