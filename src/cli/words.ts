// What there is to say, and the words for it: one entry per event.
import * as Data from "effect/Data"
import * as LogLevel from "effect/LogLevel"
import * as Hex from "../bytes/Hex.ts"
import * as Printable from "../bytes/Printable.ts"
import { FileKey, Identity } from "../keys/KeyKind.ts"
import * as Moment from "../keys/Moment.ts"
import * as PublicKey from "../keys/PublicKey.ts"
import type { Stage } from "../keys/Rotation.ts"
import type { ServerKey } from "../programs/Announcement.ts"
import type { Refusal } from "../programs/Classic.ts"
import { limits } from "../programs/inboxLimits.ts"
import type { Counted, Sender } from "../programs/Service.ts"
import { fileWords, type FileEvents } from "./fileWords.ts"
import type { Learned } from "./KnownServer.ts"
import type { Snapshot } from "./Status.ts"
import type { Stored } from "../programs/Stored.ts"
import { fieldsOf } from "./storedFields.ts"
import { wouldLine, transferWords, type TransferEvents } from "./transferWords.ts"
import { doneWords, tunnelWords, type TunnelEvents } from "./tunnelWords.ts"

/** How a session went. */
interface Ended {
  readonly sender: Sender
  readonly service: string
  readonly counted: Readonly<Counted>
  readonly error: string | undefined
}

/** What happens while a command runs. */
export type Event = Data.TaggedEnum<
  {
    KeyMade: { readonly reference: string; readonly kind: string }
    KeyProtected: { readonly file: string; readonly kind: string }
    KeyUnprotected: { readonly file: string; readonly kind: string }
    ConfigFine: { readonly file: string; readonly options: number }
    Danger: { readonly text: string }
    Listening: { readonly address: string; readonly cipher: string }
    Message: { readonly peer: string; readonly text: Uint8Array; readonly wire: Uint8Array }
    Refused: { readonly peer: string; readonly reason: Refusal; readonly bytes: number }
    Sent: { readonly address: string; readonly bytes: number; readonly wire: Uint8Array }
    Serving: { readonly address: string; readonly suites: ReadonlyArray<string>; readonly publicKey: Uint8Array | undefined }
    ServerKeys: { readonly keys: ReadonlyArray<ServerKey> }
    Received: { readonly sender: Sender; readonly id: Uint8Array; readonly text: Uint8Array }
    ReceivedMany: { readonly sender: Sender; readonly messages: number; readonly bytes: number }
    SessionStarted: { readonly sender: Sender; readonly service: string }
    SessionEnded: Ended
    SessionFailed: Ended
    Stranger: { readonly from: string; readonly reason: string }
    PeersReloaded: { readonly file: string; readonly keys: number; readonly ended: number }
    PeersKept: { readonly file: string; readonly fault: string; readonly keys: number }
    SharedKeyUnknown: {
      readonly file: string
      readonly line: number
      readonly name: string
      readonly sharedKey: string
      /** The names that there are. */
      readonly sharedKeys: ReadonlyArray<string>
    }
    Stored: { readonly stored: Stored }
    Pruned: { readonly messages: number }
    Retrying: { readonly address: string; readonly reason: string; readonly millis: number; readonly acknowledged: number }
    /** So many messages of this run are in the outbox, on the disk. */
    Kept: { readonly outbox: string; readonly messages: number }
    OnlyKept: { readonly outbox: string; readonly reason: string }
    StillWaiting: { readonly outbox: string; readonly messages: number; readonly blocked: boolean }
    /** What the server says to message `number` of this run. */
    Replied: { readonly number: number; readonly text: Uint8Array }
    Delivered: { readonly address: string; readonly messages: number; readonly bytes: number; readonly suite: string }
    Pinned: { readonly address: string; readonly name: string; readonly publicKey: Uint8Array; readonly file: string }
    KeysAnnounced: Learned
    KeyRemoved: { readonly file: string; readonly publicKey: Uint8Array; readonly current: Uint8Array }
    Rotation: {
      readonly file: string
      readonly stage: Stage
      readonly current: Uint8Array
      readonly next: Uint8Array | undefined
      readonly retiring: Uint8Array | undefined
    }
    NextStep: NextStep
    PeerAdded: { readonly file: string; readonly name: string; readonly publicKey: Uint8Array; readonly keys: number }
    PairingOpen: { readonly address: string; readonly lasts: string; readonly reachable: boolean; readonly code: string }
    Partner: { readonly from: string; readonly suggestion: string; readonly publicKey: Uint8Array }
    Paired: {
      /** Where the partner is reached, when it is a server. */
      readonly address: string | undefined
      readonly name: string
      readonly publicKey: Uint8Array
      readonly file: string
      /** It stood there before. */
      readonly before: boolean
    }
    PeersRemoved: { readonly file: string; readonly peers: ReadonlyArray<Named> }
    PeersRevoked: { readonly file: string; readonly peers: ReadonlyArray<Named> }
    PeerRenamed: { readonly file: string; readonly from: string; readonly to: string; readonly keys: number }
    Encrypted: FileEvents["Encrypted"]
    Decrypted: FileEvents["Decrypted"]
    Rekeyed: FileEvents["Rekeyed"]
    Reencrypted: FileEvents["Reencrypted"]
    TunnelOpen: TunnelEvents["TunnelOpen"]
    TunnelAway: TunnelEvents["TunnelAway"]
    TunnelBack: TunnelEvents["TunnelBack"]
    ConnectionStarted: TunnelEvents["ConnectionStarted"]
    ConnectionEnded: TunnelEvents["ConnectionEnded"]
    ConnectionReset: TunnelEvents["ConnectionEnded"]
    TurnedAway: TunnelEvents["TurnedAway"]
  } & TransferEvents
>
export const Event = Data.taggedEnum<Event>()

/** A key in a peers file. */
export interface Named {
  readonly name: string
  readonly publicKey: Uint8Array
}

/** What a person does next, and where. */
export interface NextStep {
  readonly where: string
  readonly command: string
  readonly meaning: string
}

type Tag = Event["_tag"]
type Of<T extends Tag> = Extract<Event, { readonly _tag: T }>

/** How a command speaks, from its options. */
export interface Manner {
  readonly json: boolean
  /** Show the bytes on the wire. */
  readonly wire: boolean
  /** Messages go out as they are, with no newline added: one message is the whole output. */
  readonly exact: boolean
  /** For a log: each object has the time and the level, too. */
  readonly stamped?: boolean
}

export interface Words<E> {
  /** The stable name in `--json`. */
  readonly code: string
  readonly level: LogLevel.LogLevel
  /** The line on stderr; none for what is data. */
  readonly line: (event: E, manner: Manner) => string | undefined
  /** The fields in `--json`. */
  readonly fields: (event: E, manner: Manner) => Readonly<Record<string, unknown>>
}

export const plural = (count: number, one: string): string => `${count.toLocaleString("en-US")} ${one}${count === 1 ? "" : "s"}`

const endedLine = ({ sender, counted, error }: Ended): string =>
  `${whoIs(sender)}: session ended after ${doneOf(counted)}${error === undefined ? "" : `: ${error}`}`

const endedFields = ({ sender, service, counted, error }: Ended) => ({
  ...senderOf(sender),
  service,
  ...counted,
  ...(error === undefined ? {} : { error })
})

/** { messages: 3, bytes: 1 } is "3 messages, 1 byte". */
const doneOf = (counted: Readonly<Counted>): string =>
  Object.entries(counted)
    .map(([what, count]) => doneWords[what]?.(count.toLocaleString("en-US")) ?? plural(count, what.replace(/s$/, "")))
    .join(", ") || "nothing"

export const contentOf = (bytes: Uint8Array): Readonly<Record<string, unknown>> => {
  const text = Printable.text(bytes)
  return text === undefined ? { base64: Buffer.from(bytes).toString("base64") } : { text }
}

const wireOf = (wire: Uint8Array, manner: Manner) => (manner.wire ? { wire: Hex.encode(wire) } : {})

const refusals: Readonly<Record<Refusal, string>> = {
  "does not open": "the message does not open with this key and cipher",
  "too long": "the message is longer than any classic message",
  "nothing sent": "it sent nothing",
  "cut off": "it was cut off before the end of the message",
  "too slow": "the message did not end in time",
  "crowded out": "unfinished messages took too much memory, and this was the largest"
}

/** What to do with a new key that is not for the other side. */
const nextSteps: Readonly<Record<string, string>> = {
  [Identity.name]: "others know you by what sealwire pubkey shows",
  [FileKey.name]: "what is encrypted with it opens with nothing else: keep a copy in a safe place"
}

/** One entry per event. */
export const words: { readonly [T in Tag]: Words<Of<T>> } = {
  ...transferWords,
  KeyMade: {
    code: "key-made",
    level: LogLevel.Info,
    line: ({ reference, kind }) =>
      `made a new ${kind}: ${reference} (readable by this user alone); ` +
      (nextSteps[kind] ?? "give a copy to the other side, by a safe way"),
    fields: ({ reference, kind }) => ({ key: reference, kind })
  },
  KeyProtected: {
    code: "key-protected",
    level: LogLevel.Info,
    line: ({ file, kind }) => `the ${kind} in ${file} opens with its passphrase alone from now on; nobody can find a lost one`,
    fields: ({ file, kind }) => ({ key: file, kind })
  },
  KeyUnprotected: {
    code: "key-unprotected",
    level: LogLevel.Info,
    line: ({ file, kind }) => `the ${kind} in ${file} opens without a passphrase from now on`,
    fields: ({ file, kind }) => ({ key: file, kind })
  },
  ConfigFine: {
    code: "config-fine",
    level: LogLevel.Info,
    line: ({ file, options }) => `${file} would do: ${plural(options, "option")}`,
    fields: ({ file, options }) => ({ file, options })
  },
  Danger: {
    code: "danger",
    level: LogLevel.Warning,
    line: ({ text }) => text,
    fields: ({ text }) => ({ message: text })
  },
  Listening: {
    code: "listening",
    level: LogLevel.Info,
    line: ({ address, cipher }) => `listening at ${address} for messages sealed with ${cipher}; Ctrl-C stops`,
    fields: ({ address, cipher }) => ({ address, cipher })
  },
  Message: {
    code: "message",
    level: LogLevel.Info,
    line: ({ peer, wire }, manner) =>
      manner.wire ? `${peer}: ${plural(wire.length, "byte")} on the wire: ${Hex.encode(wire)}` : undefined,
    fields: ({ peer, text, wire }, manner) => ({ peer, bytes: text.length, ...contentOf(text), ...wireOf(wire, manner) })
  },
  Refused: {
    code: "refused",
    level: LogLevel.Warning,
    line: ({ peer, reason, bytes }) => `${peer}: refused: ${refusals[reason]}${bytes > 0 ? ` (${plural(bytes, "byte")})` : ""}`,
    fields: ({ peer, reason, bytes }) => ({ peer, reason, bytes })
  },
  Sent: {
    code: "sent",
    level: LogLevel.Info,
    line: ({ address, bytes, wire }, manner) =>
      `sent ${plural(bytes, "byte")} to ${address}` +
      (manner.wire
        ? `; ${plural(wire.length, "byte")} on the wire: ${Hex.encode(wire)}`
        : "; the classic system has no receipt: nothing tells whether they arrived"),
    fields: ({ address, bytes, wire }, manner) => ({ address, bytes, wireBytes: wire.length, ...wireOf(wire, manner) })
  },
  Serving: {
    code: "listening",
    level: LogLevel.Info,
    line: ({ address, suites, publicKey }) =>
      `listening at ${address} (${suites.join(", ")})${publicKey === undefined ? "" : `; public key ${PublicKey.encode(publicKey)}`}; Ctrl-C stops`,
    fields: ({ address, suites, publicKey }) => ({ address, suites, ...keyOf(publicKey) })
  },
  ServerKeys: {
    code: "server-keys",
    level: LogLevel.Info,
    line: ({ keys }) => `clients are told of ${plural(keys.length, "key")}: ${keys.map(serverKey).join(", then ")}`,
    fields: ({ keys }) => ({ keys: keys.map(serverKeyFields) })
  },
  Received: {
    code: "message",
    level: LogLevel.Info,
    line: ({ sender, text }) => `${whoIs(sender)}: a message of ${plural(text.length, "byte")}`,
    fields: ({ sender, id, text }) => ({ ...senderOf(sender), id: Hex.encode(id), bytes: text.length, ...contentOf(text) })
  },
  ReceivedMany: {
    code: "messages",
    level: LogLevel.Info,
    line: ({ sender, messages, bytes }) =>
      `${whoIs(sender)}: ${plural(messages, "message")} of ${plural(bytes, "byte")} together`,
    fields: ({ sender, messages, bytes }) => ({ ...senderOf(sender), messages, bytes })
  },
  SessionStarted: {
    code: "session-started",
    level: LogLevel.Debug,
    line: ({ sender, service }) => `${whoIs(sender)}: ${Printable.line(service)} session started (${sender.suite})`,
    fields: ({ sender, service }) => ({ ...senderOf(sender), service })
  },
  SessionEnded: {
    code: "session-ended",
    level: LogLevel.Debug,
    line: endedLine,
    fields: endedFields
  },
  SessionFailed: {
    code: "session-failed",
    level: LogLevel.Warning,
    line: endedLine,
    fields: endedFields
  },
  Stranger: {
    code: "refused",
    level: LogLevel.Warning,
    line: ({ from, reason }) => `${from}: refused: ${reason}`,
    fields: ({ from, reason }) => ({ from, reason })
  },
  PeersReloaded: {
    code: "peers-reloaded",
    level: LogLevel.Info,
    line: ({ file, keys, ended }) =>
      `${file} was read again: ${plural(keys, "key")}${ended === 0 ? "" : `; ${plural(ended, "session")} ended`}`,
    fields: ({ file, keys, ended }) => ({ file, keys, ended })
  },
  PeersKept: {
    code: "peers-kept",
    level: LogLevel.Error,
    line: ({ fault, keys }) => `${fault}; the list from before stays in force (${plural(keys, "key")})`,
    fields: ({ file, fault, keys }) => ({ file, fault, keys })
  },
  SharedKeyUnknown: {
    code: "shared-key-unknown",
    level: LogLevel.Error,
    line: ({ file, line, name, sharedKey, sharedKeys }) =>
      `${file}:${line}: ${name} is not let in: its line names the shared key ${sharedKey}, and this server ` +
      (sharedKeys.length === 0 ? `has none of a name; give it with --key ${sharedKey}=KEY` : `has ${sharedKeys.join(", ")}`),
    fields: ({ file, line, name, sharedKey, sharedKeys }) => ({ file, line, name, sharedKey, sharedKeys })
  },
  Stored: {
    code: "stored",
    level: LogLevel.Info,
    line: () => undefined,
    fields: ({ stored }) => ({ ...fieldsOf(stored), ...contentOf(stored.text) })
  },
  Pruned: {
    code: "pruned",
    level: LogLevel.Info,
    line: ({ messages }) => `forgot ${plural(messages, "message")}`,
    fields: ({ messages }) => ({ messages })
  },
  Retrying: {
    code: "retrying",
    level: LogLevel.Warning,
    line: ({ reason, millis }) => `${reason}; trying again in ${(millis / 1000).toFixed(1)} s`,
    fields: ({ address, reason, millis, acknowledged }) => ({ address, reason, millis: Math.round(millis), acknowledged })
  },
  Kept: {
    code: "kept",
    level: LogLevel.Debug,
    line: ({ outbox, messages }) => `${plural(messages, "message")} kept in ${outbox}`,
    fields: ({ outbox, messages }) => ({ outbox, messages })
  },
  OnlyKept: {
    code: "only-kept",
    level: LogLevel.Warning,
    line: ({ outbox, reason }) => `${reason}; what still comes is kept in ${outbox}, and sent by the next run`,
    fields: ({ outbox, reason }) => ({ outbox, reason })
  },
  StillWaiting: {
    code: "waiting",
    level: LogLevel.Warning,
    line: ({ outbox, messages, blocked }) =>
      `${plural(messages, "message")} in ${outbox}` +
      (blocked ? `, the refused one first; sealwire inbox list --inbox ${outbox} shows them, and inbox done drops one` : ""),
    fields: ({ outbox, messages, blocked }) => ({ outbox, messages, blocked })
  },
  Delivered: {
    code: "delivered",
    level: LogLevel.Debug,
    line: ({ address, messages, bytes, suite }) =>
      `${address} has handled ${plural(messages, "message")}, ${plural(bytes, "byte")} (${suite})`,
    fields: ({ address, messages, bytes, suite }) => ({ address, messages, bytes, suite })
  },
  Replied: {
    code: "reply",
    level: LogLevel.Info,
    line: () => undefined,
    fields: ({ number, text }) => ({ number, bytes: text.length, ...contentOf(text) })
  },
  Pinned: {
    code: "pinned",
    level: LogLevel.Warning,
    line: ({ address, name, publicKey, file }) =>
      `from now on ${address} is known as ${name} with the key ${PublicKey.fingerprint(publicKey)} (${file}); ` +
      "compare it with what sealwire pubkey shows on the server",
    fields: ({ address, name, publicKey, file }) => ({ address, name, ...keyOf(publicKey), file })
  },
  KeysAnnounced: {
    code: "keys-announced",
    level: LogLevel.Info,
    line: ({ address, name, added, retiring, left, because, file }) =>
      `${name} (${address}) says which keys it has: ` +
      [
        ...added.map((key) => `added ${serverKey(key)}`),
        ...retiring.map(serverKey),
        ...(left === 0 ? [] : [`${left} more not added: ${reasons[because]}`])
      ].join("; ") +
      ` (${file})`,
    fields: ({ address, name, added, retiring, left, because, file }) => ({
      address,
      name,
      added: added.map(serverKeyFields),
      retiring: retiring.map(serverKeyFields),
      ...(left === 0 ? {} : { left, because }),
      file
    })
  },
  KeyRemoved: {
    code: "key-removed",
    level: LogLevel.Info,
    line: ({ file, publicKey, current }) =>
      `removed ${file}: ${PublicKey.fingerprint(publicKey)}; the rotation is done, and the key is ${PublicKey.fingerprint(current)}`,
    fields: ({ file, publicKey, current }) => ({ file, ...keyOf(publicKey), current: keyOf(current) })
  },
  Rotation: {
    code: "rotation",
    level: LogLevel.Info,
    line: ({ file, stage, current, next, retiring }) =>
      [
        `${file} is ${PublicKey.fingerprint(current)}`,
        ...(next === undefined ? [] : [`the next one ${PublicKey.fingerprint(next)}`]),
        ...(retiring === undefined ? [] : [`the retiring one ${PublicKey.fingerprint(retiring)}`])
      ].join(", ") + `; ${stages[stage]}`,
    fields: ({ file, stage, current, next, retiring }) => ({
      file,
      stage: stage.replaceAll(" ", "-"),
      current: keyOf(current),
      ...(next === undefined ? {} : { next: keyOf(next) }),
      ...(retiring === undefined ? {} : { retiring: keyOf(retiring) })
    })
  },
  NextStep: {
    code: "next-step",
    level: LogLevel.Info,
    line: ({ where, command, meaning }) => `${where}: ${command} (${meaning})`,
    fields: ({ where, command, meaning }) => ({ where, command, meaning })
  },
  PeerAdded: {
    code: "peer-added",
    level: LogLevel.Info,
    line: ({ file, name, publicKey, keys }) =>
      `added ${name} to ${file}: ${PublicKey.fingerprint(publicKey)}${keys > 1 ? `; ${name} has ${plural(keys, "key")} there now` : ""}`,
    fields: ({ file, name, publicKey, keys }) => ({ file, name, ...keyOf(publicKey), keys })
  },
  PairingOpen: {
    code: "pairing",
    level: LogLevel.Info,
    line: ({ address, lasts, reachable }) =>
      `waiting at ${address} for ${lasts}${reachable ? "" : " (this machine alone can reach it; for others: --listen 0.0.0.0:PORT)"}; ` +
      `on the other side run sealwire pair ADDRESS, with the address of this one, and type this code there:`,
    fields: ({ address, lasts, code }) => ({ address, lasts, code })
  },
  Partner: {
    code: "partner",
    level: LogLevel.Info,
    line: ({ from, suggestion, publicKey }) =>
      `${from} has the code; it calls itself ${suggestion}, and its key is ${PublicKey.fingerprint(publicKey)}`,
    fields: ({ from, suggestion, publicKey }) => ({ from, suggestion, ...keyOf(publicKey) })
  },
  Paired: {
    code: "paired",
    level: LogLevel.Info,
    line: ({ address, name, publicKey, file, before }) =>
      `paired: ${address === undefined ? `${name} may come in` : `${address} is known as ${name}`}${before ? ", as before" : ""} ` +
      `(${PublicKey.fingerprint(publicKey)}, ${file})`,
    fields: ({ address, name, publicKey, file, before }) => ({
      ...(address === undefined ? {} : { address }),
      name,
      ...keyOf(publicKey),
      file,
      before
    })
  },
  PeersRemoved: {
    code: "peer-removed",
    level: LogLevel.Info,
    line: ({ file, peers }) => `removed from ${file}: ${peers.map(inWords).join(", ")}`,
    fields: ({ file, peers }) => ({ file, removed: peers.map(({ name, publicKey }) => ({ name, ...keyOf(publicKey) })) })
  },
  PeersRevoked: {
    code: "peer-revoked",
    level: LogLevel.Info,
    line: ({ file, peers }) =>
      peers.length === 0
        ? `revoked already, in ${file}; nothing was changed`
        : `revoked for ever in ${file}: ${peers.map(inWords).join(", ")}`,
    fields: ({ file, peers }) => ({ file, revoked: peers.map(({ name, publicKey }) => ({ name, ...keyOf(publicKey) })) })
  },
  PeerRenamed: {
    code: "peer-renamed",
    level: LogLevel.Info,
    line: ({ file, from, to, keys }) => `${from} is ${to} from now on, with ${plural(keys, "key")}, in ${file}`,
    fields: ({ file, from, to, keys }) => ({ file, from, to, keys })
  },
  ...fileWords,
  ...tunnelWords(doneOf)
}

const reasons = {
  full: "so many stand there already; sealwire peers list --known shows them, and peers remove makes room",
  retiring: "the key it showed retires, and a retiring key brings in no other"
} as const

const stages: Readonly<Record<Stage, string>> = {
  "not begun": "no rotation is begun",
  begun: "the rotation is begun",
  "half switched": "the switch was cut off in the middle, and nothing is lost",
  switched: "the new key is in its place",
  "begun again": "a next key is there, and the rotation before it is not finished"
}

const inWords = ({ name, publicKey }: Named): string => `${name} (${PublicKey.fingerprint(publicKey)})`

const keyOf = (publicKey: Uint8Array | undefined) =>
  publicKey === undefined ? {} : { publicKey: PublicKey.encode(publicKey), fingerprint: PublicKey.fingerprint(publicKey) }

const serverKey = ({ publicKey, retires }: ServerKey): string =>
  `${PublicKey.fingerprint(publicKey)}${retires === undefined ? "" : `, which retires ${Moment.format(retires)}`}`

const serverKeyFields = ({ publicKey, retires }: ServerKey) => ({
  ...keyOf(publicKey),
  ...(retires === undefined ? {} : { retires: new Date(retires).toISOString() })
})

const senderOf = ({ peer, from, publicKey, suite }: Sender) => ({ peer, from, suite, ...keyOf(publicKey) })

const messagesOf = ({ counted }: Snapshot): number => counted.message?.messages ?? 0

const whoIs = ({ peer, from }: Sender): string => (peer === from ? from : `${peer} (${from})`)

/** What of an event is data, for standard output. */
export const dataOf = (event: Event): Uint8Array | undefined => {
  if (event._tag === "PairingOpen") return Buffer.from(event.code)
  if (event._tag === "Stored") return event.stored.text
  if (event._tag === "WouldTravel") return Buffer.from(wouldLine(event))
  return event._tag === "Message" || event._tag === "Received" || event._tag === "Replied" ? event.text : undefined
}

/** Where a long delivery stands, for a person who waits. */
export const progressOf = ({ offered, acknowledged }: { readonly offered: number; readonly acknowledged: number }) => ({
  count: acknowledged,
  line: (perSecond: number) =>
    `${plural(offered, "message")} sent, ${acknowledged.toLocaleString("en-US")} acknowledged, ${Math.round(perSecond).toLocaleString("en-US")}/s`
})

const perSecond = (now: Snapshot, before: Snapshot): number =>
  Math.max(0, Math.round(((messagesOf(now) - messagesOf(before)) * 1000) / Math.max(1, now.at - before.at)))

const inboxOf = (inbox: NonNullable<Snapshot["inbox"]>): string => {
  if ("fault" in inbox) return `what is in the inbox is not known: ${Printable.line(inbox.fault)}`
  const messages = `${plural(inbox.messages, "message")}${inbox.messages === limits.counted ? " or more" : ""} in the inbox`
  return inbox.oldest === undefined
    ? messages
    : `${messages}, the oldest since ${new Date(inbox.oldest).toISOString().slice(0, 19)}Z`
}

/** A server that runs, for a person. With what was before, the rate in between. */
export const statusOf = (now: Snapshot, before: Snapshot | undefined): string => {
  const { address, pid, since, halfOpen, sessions, total, counted, inbox } = now
  const rate = before === undefined ? "" : `, ${perSecond(now, before).toLocaleString("en-US")} a second`
  const rows = sessions.map(({ peer, from, suite, service, ...session }) => [
    Printable.line(peer),
    from,
    suite,
    service,
    `in since ${new Date(session.since).toISOString().slice(0, 19)}Z`,
    doneOf(session.counted)
  ])
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)))
  return [
    `${address}, process ${pid}, since ${new Date(since).toISOString().slice(0, 19)}Z`,
    `${plural(messagesOf(now), "message")} handled (${plural(counted.message?.bytes ?? 0, "byte")})${rate}; ${plural(total.sessions, "session")} in all, ` +
      `${total.failed.toLocaleString("en-US")} failed; ${plural(total.refused, "stranger")} refused`,
    ...Object.entries(counted).flatMap(([service, done]) => (service === "message" ? [] : [`${service}: ${doneOf(done)}`])),
    `${plural(sessions.length, "session")} now, ${halfOpen.toLocaleString("en-US")} half open`,
    ...(inbox === undefined ? [] : [inboxOf(inbox)]),
    ...rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")}`)
  ].join("\n")
}
