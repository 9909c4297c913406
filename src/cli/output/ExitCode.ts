// Exit codes of the command. The compiler checks that every error of a command has one.
import type * as ValidationError from "@effect/cli/ValidationError"
import {
  isFull,
  type TransferIncomplete,
  type TransferStopped
} from "../../services/transfer/TransferErrors.ts"
import type { CommandError } from "../arguments/CommandError.ts"

/** The exit codes of errors. 0 means done and acknowledged, or an orderly stop after SIGTERM. */
export const exitCode = {
  /** An error that no table lists: a bug in sealwire. */
  bug: 1,
  /** Usage, configuration or local files. */
  usage: 2,
  /** A key is missing, unreadable or refused. */
  key: 3,
  /** Authentication failed: the peer is unknown, or showed another key. */
  authentication: 4,
  /** Network; a retry may help. */
  network: 5,
  /** Tampering, a truncated file, or a violation of the protocol. */
  integrity: 6,
  /** Incomplete; the same command resumes the work. */
  incomplete: 7,
  /** Refused by the rules of the peer. */
  refused: 8
} as const

/** Exit codes after a signal: 128 and the number of the signal, as shells count. */
export const signalCodes = { SIGHUP: 129, SIGINT: 130, SIGPIPE: 141, SIGTERM: 143 } as const

/** The exit codes and their meanings, for help and manual pages. */
export const exitCodeTexts: ReadonlyArray<readonly [codes: string, meaning: string]> = [
  ["0", "success: done and acknowledged, or an orderly stop of a server"],
  ["1", "internal error (a bug in sealwire)"],
  ["2", "usage, configuration or local files"],
  ["3", "key missing, unreadable or invalid"],
  ["4", "authentication failed: compare fingerprints"],
  ["5", "network error; a retry may succeed"],
  ["6", "data tampered with or truncated, or protocol error"],
  ["7", "incomplete; the same command resumes"],
  ["8", "denied by the rules of the other side"],
  ["129, 130, 141, 143", "ended by SIGHUP, SIGINT, SIGPIPE or SIGTERM"]
]

/** Commands that run until they are stopped, and what makes one of them end by itself. */
const services: ReadonlyArray<{
  readonly path: ReadonlyArray<string>
  readonly with?: string
  readonly without?: string
}> = [
  { path: ["serve"] },
  { path: ["tunnel"] },
  { path: ["classic", "serve"], without: "--once" },
  { path: ["inbox", "take"], with: "--wait", without: "--count" },
  { path: ["inbox", "work"] }
]

/** True for a command that SIGTERM ends in good order: a server, a tunnel, a worker. */
const isService = (args: ReadonlyArray<string>): boolean => {
  const given = (option: string) =>
    args.some((word) => word === option || word.startsWith(`${option}=`))
  return services.some(
    ({ path, with: needed, without }) =>
      path.every((word, index) => args[index] === word) &&
      (needed === undefined || given(needed)) &&
      (without === undefined || !given(without))
  )
}

/** The exit code of a command that a signal has ended, when all that was in flight is done. */
export const exitCodeAfter = (
  signal: keyof typeof signalCodes,
  args: ReadonlyArray<string>
): number => (signal === "SIGTERM" && isService(args) ? 0 : signalCodes[signal])

const { usage, key, authentication, network, integrity, incomplete, refused } = exitCode

type TableError = Exclude<CommandError, ValidationError.ValidationError>

/** A code for each tag; a function of the error where the tag alone does not decide. */
type ExitCodes = {
  readonly [Tag in TableError["_tag"]]:
    | number
    | ((error: Extract<TableError, { readonly _tag: Tag }>) => number)
}

const incompleteCodes: Readonly<Record<TransferIncomplete["next"], number>> = {
  again: incomplete,
  change: usage,
  rules: refused
}

const stopCodes: Readonly<Record<TransferStopped["reason"], number>> = {
  diskFull: incomplete,
  goingAway: incomplete,
  forbidden: refused,
  tooMuch: usage,
  diskFailed: incomplete,
  notFound: usage
}

export const exitCodes = {
  ConfigInvalid: usage,
  OptionsConflict: usage,
  AddressInvalid: usage,
  HomeUnknown: usage,
  WorkingFolderGone: usage,
  MessageTooLong: usage,
  ListenFailed: usage,
  OutputFailed: usage,
  InputFailed: usage,
  InboxUnusable: usage,
  MessageUnknown: usage,
  FileUnreadable: usage,
  FileUnwritable: usage,
  FileExists: usage,
  BinaryOnTerminal: usage,
  RecipientUnknown: usage,
  RecipientRefused: usage,
  RotationOutOfTurn: usage,
  PeersInvalid: usage,
  PeersBusy: usage,
  PeersUnchanged: usage,
  PeerUnknown: usage,
  OutboxElsewhere: usage,
  SourceRefused: usage,
  DiskFailed: ({ code }) => (isFull(code) ? incomplete : usage),
  InspectFailed: key,
  NotForThisKey: key,
  SenderNeeded: key,
  KeyFileMissing: key,
  KeyReferenceInvalid: key,
  KeyUnavailable: key,
  KeyRejected: key,
  ServerKeysInvalid: key,
  KeyExists: key,
  KeyNotCreated: key,
  KeyNotReplaced: key,
  PassphraseRefused: key,
  IdentityNeeded: key,
  RotationFailed: key,
  ServerUnknown: authentication,
  ServerKeyChanged: authentication,
  ServerKeyWithdrawn: authentication,
  HandshakeFailed: ({ transient }) => (transient ? network : authentication),
  PairingFailed: authentication,
  PairingRefused: ({ isUnanswered }) => (isUnanswered ? network : authentication),
  PairingDeclined: authentication,
  SenderUnexpected: authentication,
  PairingExpired: network,
  PairingBroken: network,
  PortInUse: network,
  PeerDead: network,
  ChannelClosed: network,
  ConnectFailed: network,
  // A file that was moved or deleted is here, and waiting does not bring it back.
  InboxRefused: ({ isGone }) => (isGone === true ? usage : network),
  ConnectionLost: network,
  TargetRefused: network,
  TunnelIdle: network,
  // A lost connection is the usual cause, and a retry helps; nothing shows an attack.
  StreamTruncated: network,
  OutboxFailed: ({ retry }) => (retry ? network : usage),
  NotEncrypted: integrity,
  FileFromNewer: integrity,
  FileTampered: integrity,
  FileTruncated: integrity,
  ChannelTampered: integrity,
  NoStatus: integrity,
  PairingUnwritten: incomplete,
  NotHandled: incomplete,
  Undelivered: incomplete,
  ReplyLost: incomplete,
  OutboxWaits: incomplete,
  TransferBroken: incomplete,
  TransferBusy: incomplete,
  TransferIncomplete: ({ next }) => incompleteCodes[next],
  TransferStopped: ({ reason }) => stopCodes[reason],
  ChannelRefused: refused,
  NotOffered: refused,
  MessageRefused: refused,
  // "later" is no rule: the server may accept the message at another time.
  NotTaken: ({ status }) => (status === "later" ? network : refused)
} satisfies ExitCodes

/** Returns the exit code of an error; undefined for an error that no command declares. */
export const exitCodeOf = (error: unknown): number | undefined => {
  const { _tag = "" } = (error ?? {}) as { readonly _tag?: string }
  if (!Object.hasOwn(exitCodes, _tag)) return undefined
  const code: number | ((error: never) => number) = exitCodes[_tag as keyof typeof exitCodes]
  return typeof code === "function" ? code(error as never) : code
}
