// What the shell is told. DESIGN section 8.
import {
  isFull,
  type DiskFailed,
  type TransferIncomplete,
  type TransferStopped
} from "../../services/transfer/TransferErrors.ts"
import type { NotTaken } from "../../services/messages/MessageClient.ts"
import type { OutboxFailed } from "../../services/inbox/OutboxErrors.ts"

/** What is not to be done at all, or not as it was asked. */
export const usageCode = 2

/** By the tag of the error; where the tag alone does not tell, by the error. What is not in the table is a fault of Sealwire. */
export const exitCodes: Readonly<Record<string, number | ((error: never) => number)>> = {
  ConfigInvalid: 2,
  OptionsConflict: 2,
  AddressInvalid: 2,
  MessageTooLong: 2,
  ListenFailed: 2,
  OutputFailed: 2,
  InputFailed: 2,
  InboxUnusable: 2,
  MessageUnknown: 2,
  FileUnreadable: 2,
  FileUnwritable: 2,
  FileExists: 2,
  BinaryOnTerminal: 2,
  RecipientUnknown: 2,
  RecipientRefused: 2,
  InspectFailed: 3,
  NotForThisKey: 3,
  SenderNeeded: 3,
  KeyFileMissing: 3,
  KeyReferenceInvalid: 3,
  KeyUnavailable: 3,
  KeyRejected: 3,
  KeyExists: 3,
  KeyNotCreated: 3,
  KeyNotReplaced: 3,
  PassphraseRefused: 3,
  IdentityNeeded: 3,
  RotationOutOfTurn: 2,
  RotationFailed: 3,
  PeersInvalid: 2,
  PeersBusy: 2,
  PeersUnchanged: 2,
  PeerUnknown: 2,
  ServerUnknown: 4,
  ServerKeyChanged: 4,
  ServerKeyWithdrawn: 4,
  HandshakeFailed: 4,
  PairingFailed: 4,
  PairingRefused: 4,
  PairingDeclined: 4,
  PairingExpired: 5,
  PairingBroken: 5,
  PairingUnwritten: 7,
  SenderUnexpected: 4,
  PortInUse: 5,
  PeerDead: 5,
  ChannelClosed: 5,
  ConnectFailed: 5,
  InboxRefused: 5,
  ConnectionLost: 5,
  TargetRefused: 5,
  TunnelIdle: 5,
  NotHandled: 7,
  DecryptFailed: 6,
  NotEncrypted: 6,
  FileFromNewer: 6,
  FileTampered: 6,
  FileTruncated: 6,
  // Nobody proved that it was tampered with: most often the connection was lost, and a retry helps. DESIGN section 8 has truncation at 6.
  StreamTruncated: 5,
  ChannelTampered: 6,
  NoStatus: 6,
  ChannelRefused: 8,
  NotOffered: 8,
  // "Later" is no rule: another time it may be taken.
  NotTaken: ({ status }: NotTaken) => (status === "later" ? 5 : 8),
  Undelivered: 7,
  ReplyLost: 7,
  OutboxElsewhere: 2,
  OutboxWaits: 7,
  OutboxFailed: ({ retry }: OutboxFailed) => (retry ? 5 : 2),
  SourceRefused: 2,
  DiskFailed: ({ code }: DiskFailed) => (isFull(code) ? 7 : 2),
  TransferStopped: ({ reason }: TransferStopped) => stopCodes[reason],
  TransferBroken: 7,
  TransferBusy: 7,
  TransferIncomplete: ({ next }: TransferIncomplete) => nextCodes[next],
  MessageRefused: 8
}

const nextCodes: Readonly<Record<TransferIncomplete["next"], number>> = {
  again: 7,
  change: usageCode,
  rules: 8
}

const stopCodes: Readonly<Record<TransferStopped["reason"], number>> = {
  full: 7,
  leaving: 7,
  access: 8,
  many: 2,
  disk: 7,
  none: 2
}

export const bugCode = 1

/** 128 and the number of the signal, as shells count. */
export const signalCodes = { SIGHUP: 129, SIGINT: 130, SIGPIPE: 141, SIGTERM: 143 } as const
