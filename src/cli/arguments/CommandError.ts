import type * as ValidationError from "@effect/cli/ValidationError"
import type { AddressInvalid } from "../../transports/Address.ts"
import type {
  KeyCreateError,
  KeyLoadError,
  KeyNotReplaced,
  PassphraseRefused
} from "../../keys/KeyErrors.ts"
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
import type { BinaryOnTerminal } from "../input/fileStreams.ts"
import type { SenderNeeded, SenderUnexpected } from "./fileKeys.ts"
import type { RecipientUnknown } from "./recipients.ts"
import type { NoStatus } from "../output/Status.ts"
import type { ConfigInvalid } from "./ConfigFile.ts"
import type { OutputFailed } from "../output/Report.ts"
import type { InputFailed } from "../input/standardInput.ts"
import type { InspectFailed } from "../output/inspection.ts"

import type { ChannelError } from "../../channel/ChannelErrors.ts"
import type { PeersInvalid } from "../../peers/Peers.ts"
import type { MessageTooLong, NotTaken, ReplyLost } from "../../services/messages/MessageErrors.ts"
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
import type { ServerKeysInvalid } from "../../services/Server.ts"
import type { TunnelIdle } from "../../services/tunnel/SpliceOptions.ts"
import type { TargetRefused } from "../../services/tunnel/TunnelClient.ts"
import type { PairError, PairingFailed } from "../../services/pairing/Pairing.ts"
import type { MessageRefused } from "../../services/messages/MessageService.ts"
import type { InboxRefused, InboxUnusable } from "../../services/inbox/InboxErrors.ts"
import type { PeersBusy } from "../../peers/PeerLock.ts"
import type { IdentityNeeded } from "../connection/ServerFlags.ts"
import type { ServerKeyChanged, ServerKeyWithdrawn, ServerUnknown } from "../../peers/PeerErrors.ts"
import type { RotationFailed, RotationOutOfTurn } from "../../keys/Rotation.ts"
import type { HomeUnknown } from "../../keys/UserFolder.ts"
import type { WorkingFolderGone } from "../input/workingFolder.ts"
import type { OptionsConflict } from "./options.ts"
import type { PairingUnwritten } from "../connection/PairedPeer.ts"
import type { MessageUnknown, NotHandled } from "../connection/InboxAt.ts"
import type { PeerUnknown, PeersUnchanged } from "../connection/PeersFile.ts"

/** The errors that can end a command. `exitCodes` in output/ExitCode.ts has a code for each. */
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
  | HomeUnknown
  | IdentityNeeded
  | InboxRefused
  | ServerKeysInvalid
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
  | WorkingFolderGone
  | ValidationError.ValidationError
