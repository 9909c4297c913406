import * as Command from "@effect/cli/Command"
import type * as ValidationError from "@effect/cli/ValidationError"
import type * as Effect from "effect/Effect"
import type { AddressInvalid } from "../../transports/Address.ts"
import type {
  KeyCreateError,
  KeyLoadError,
  KeyNotReplaced,
  PassphraseRefused
} from "../../keys/KeyErrors.ts"
import type { MessageTooLong } from "../../classic/Classic.ts"
import type {
  ConnectFailed,
  ConnectionLost,
  ListenFailed,
  PortInUse
} from "../../transports/TransportErrors.ts"
import type {
  DamagedError,
  FileExists,
  FileUnreadable,
  FileUnwritable,
  NotForThisKey,
  RecipientRefused
} from "../../files/FileErrors.ts"
import type { BinaryOnTerminal } from "../input/FileEnds.ts"
import type { SenderNeeded, SenderUnexpected } from "./fileKeys.ts"
import type { RecipientUnknown } from "./recipients.ts"
import type { NoStatus } from "../commands/status.ts"
import type { ConfigInvalid } from "./Config.ts"
import type { OutputFailed, Report } from "../output/Report.ts"
import type { InputFailed } from "../input/standardInput.ts"
import type { InspectFailed } from "../commands/inspect.ts"

import type { ChannelError, ServerKeyChanged } from "../../channel/ChannelErrors.ts"
import type { PeersInvalid } from "../../peers/Peers.ts"
import type { NotTaken, ReplyLost } from "../../services/messages/MessageErrors.ts"
import type { TransferBroken } from "../../services/transfer/retryTransfer.ts"
import type {
  DiskFailed,
  SourceRefused,
  TransferBusy,
  TransferIncomplete,
  TransferStopped
} from "../../services/transfer/TransferErrors.ts"
import type { Undelivered } from "../../services/messages/Delivery.ts"
import type {
  OutboxElsewhere,
  OutboxFailed,
  OutboxWaits
} from "../../services/inbox/OutboxErrors.ts"
import type { TunnelIdle } from "../../services/tunnel/Splice.ts"
import type { TargetRefused } from "../../services/tunnel/TunnelClient.ts"
import type { PairError, PairingFailed } from "../../services/pairing/Pairing.ts"
import type { MessageRefused } from "../../services/messages/MessageService.ts"
import type { InboxRefused, InboxUnusable } from "../../services/inbox/InboxErrors.ts"
import type { PeersBusy } from "../../peers/PeerLock.ts"
import type {
  IdentityNeeded,
  ServerKeyWithdrawn,
  ServerUnknown
} from "../connection/KnownServer.ts"
import type { RotationFailed, RotationOutOfTurn } from "../../keys/Rotation.ts"
import type { OptionsConflict } from "./options.ts"
import type { PairingUnwritten } from "../connection/PairedPeer.ts"
import type { MessageUnknown, NotHandled } from "../commands/inbox/InboxAt.ts"
import type { PeerUnknown, PeersUnchanged } from "../commands/peers/PeersFile.ts"

/** What can end a command; `exitCodes` has a line for each. */
export type CommandError =
  | AddressInvalid
  | ConfigInvalid
  | BinaryOnTerminal
  | ConnectFailed
  | ConnectionLost
  | DamagedError
  | FileExists
  | FileUnreadable
  | FileUnwritable
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
  | NotForThisKey
  | NotHandled
  | OutputFailed
  | NotTaken
  | ReplyLost
  | OptionsConflict
  | OutboxElsewhere
  | OutboxFailed
  | OutboxWaits
  | PairError
  | PairingFailed
  | PairingUnwritten
  | PassphraseRefused
  | PeerUnknown
  | PeersBusy
  | PeersInvalid
  | PeersUnchanged
  | PortInUse
  | RecipientRefused
  | RecipientUnknown
  | RotationFailed
  | RotationOutOfTurn
  | SenderNeeded
  | SenderUnexpected
  | ServerKeyChanged
  | ServerKeyWithdrawn
  | ServerUnknown
  | DiskFailed
  | SourceRefused
  | TransferBroken
  | TransferBusy
  | TransferIncomplete
  | TransferStopped
  | TargetRefused
  | TunnelIdle
  | Undelivered
  | ValidationError.ValidationError

export interface MultiInstance {
  readonly word: string
  /** The options that hold for all: they stand above the tables. */
  readonly shared: ReadonlyArray<string>
  /** What must hold of them before they are run, together and of one alone; check-config asks it, too. */
  readonly fits: (
    given: ReadonlyArray<never>
  ) => Effect.Effect<void, ValidationError.ValidationError>
  /** With what each was given. */
  readonly run: (given: ReadonlyArray<never>) => Effect.Effect<void, CommandError, Report>
}

/** A command: where it stands, what it does in a line, examples that work, and what @effect/cli makes of it. */
export interface CommandSpec {
  /** `["classic", "send"]` */
  readonly path: readonly [string, ...ReadonlyArray<string>]
  readonly summary: string
  /** A command line and what it does. The tests run each with `--help`. */
  readonly examples: ReadonlyArray<readonly [command: string, meaning: string]>
  readonly command: Command.Command<string, Report, CommandError, unknown>
  /** The same several times in one process, each with options of its own: the `[[word]]` tables of its configuration file. */
  readonly several?: MultiInstance
}

/** An Entry whose last word names its command. */
export const commandSpec = <const Config extends Command.Command.Config>(
  path: CommandSpec["path"],
  summary: string,
  examples: CommandSpec["examples"],
  config: Config,
  handler: (
    config: Command.Command.ParseConfig<Config>
  ) => Effect.Effect<void, CommandError, Report>,
  several?: MultiInstance
): CommandSpec => ({
  ...(several === undefined ? {} : { several }),
  path,
  summary,
  examples,
  command: Command.make(path.at(-1) ?? "", config, (parsed) =>
    handler(parsed as Command.Command.ParseConfig<Config>)
  ) as CommandSpec["command"]
})
