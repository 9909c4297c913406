// One sample of every event, for the examples of docs/reference/json-events.md.
import { Event } from "../../src/cli/output/events/index.ts"
import type { RemotePeer } from "../../src/services/Service.ts"
import type { StoredMessage } from "../../src/services/inbox/StoredMessage.ts"

const publicKey = Buffer.alloc(32, 1)
const nextKey = Buffer.alloc(32, 2)
const text = Buffer.from("Hello Server!")
const wire = Buffer.from("aa2ce453438ce0ea54e75c5d8d125eb0", "hex")
const id = Buffer.from("1f6d2c0a9b7e4d5380c1a2b3c4d5e6f7", "hex")
const binary = Buffer.from([0xff, 0x00])
const expiry = Date.UTC(2026, 11, 31)

/** A client with a key of its own. */
const alice: RemotePeer = { peer: "alice", from: "192.0.2.7:41356", publicKey, suite: "IK" }
/** A client of a server with a shared key. */
const unnamed: RemotePeer = {
  peer: "192.0.2.7:41356",
  from: "192.0.2.7:41356",
  publicKey: undefined,
  suite: "NNpsk0"
}
const address = "server.example:8080"
const forwarded = { target: "postgres", from: "127.0.0.1:50312", peer: address, suite: "IK" }
const counted = { connections: 1, bytesIn: 2048, bytesOut: 512 }
const file = "./authorized_peers"

const error = "the command exited with status 3: no such customer"
const stored: StoredMessage = {
  sequence: 1,
  peer: "shared key",
  name: "192.0.2.7:41356",
  id,
  receivedAt: Date.UTC(2026, 0, 31, 12),
  size: text.length,
  text,
  leaseUntil: 0,
  retryAt: 0,
  attempts: 1,
  uncounted: 0,
  error: undefined,
  deadAt: undefined
}

type Tag = Event["_tag"]

/** The samples of each event; together they have every field of the event. */
export const samples: {
  readonly [T in Tag]: readonly [
    Extract<Event, { readonly _tag: T }>,
    ...ReadonlyArray<Extract<Event, { readonly _tag: T }>>
  ]
} = {
  ConfigValid: [Event.ConfigValid({ file: "./sealwire.toml", options: 4 })],
  Warning: [Event.Warning({ text: "aes-128-cbc has no integrity and a fixed IV" })],
  ServerListening: [
    Event.ServerListening({ address: "0.0.0.0:8080", suites: ["IK", "XX"], publicKey }),
    Event.ServerListening({ address: "127.0.0.1:8080", suites: ["NNpsk0"], publicKey: undefined })
  ],
  ServerKeysAnnounced: [
    Event.ServerKeysAnnounced({ keys: [{ publicKey, retires: expiry }, { publicKey: nextKey }] })
  ],
  SessionStarted: [Event.SessionStarted({ sender: alice, service: "message" })],
  SessionEnded: [
    Event.SessionEnded({
      sender: alice,
      service: "message",
      counted: { messages: 3, bytes: 39 },
      error: undefined
    })
  ],
  SessionFailed: [
    Event.SessionFailed({
      sender: alice,
      service: "file",
      counted: { files: 1, bytes: 4096 },
      error: "alice closed the channel before the end"
    })
  ],
  ConnectionRefused: [
    Event.ConnectionRefused({
      from: "192.0.2.9:40112",
      reason: "its key is not in authorized_peers",
      count: 1,
      publicKey
    }),
    Event.ConnectionRefused({
      from: "192.0.2.9",
      reason: "its key is not in authorized_peers",
      count: 8430
    }),
    Event.ConnectionRefused({
      from: "127.0.0.1:50313",
      target: "postgres",
      reason: "more than 100 connections in a second (--rate)",
      count: 1
    })
  ],
  MessageReceived: [
    Event.MessageReceived({ sender: alice, id, text }),
    Event.MessageReceived({ sender: unnamed, id, text: binary })
  ],
  InboxMessage: [
    Event.InboxMessage({ stored: { ...stored, leaseUntil: Date.UTC(2026, 0, 31, 12, 5) } }),
    Event.InboxMessage({
      stored: { ...stored, error, attempts: 3, retryAt: Date.UTC(2026, 0, 31, 12, 5) }
    }),
    Event.InboxMessage({
      stored: {
        ...stored,
        size: binary.length,
        text: binary,
        attempts: 10,
        error,
        deadAt: Date.UTC(2026, 0, 31, 12, 9)
      }
    })
  ],
  InboxRetried: [Event.InboxRetried({ messages: 2 })],
  MessageHandled: [Event.MessageHandled({ message: stored })],
  MessageDeferred: [
    Event.MessageDeferred({
      message: stored,
      reason: error,
      millis: 840,
      failures: 1,
      maxAttempts: 10
    })
  ],
  MessageDead: [
    Event.MessageDead({ message: { ...stored, attempts: 10 }, reason: error, inbox: "" })
  ],
  InboxPruned: [Event.InboxPruned({ messages: 12 })],
  RetryScheduled: [
    Event.RetryScheduled({
      address,
      reason: "the connection to server.example:8080 was lost",
      millis: 400,
      acknowledged: 17
    }),
    Event.RetryScheduled({
      address,
      reason: "the connection to server.example:8080 was lost",
      millis: 400
    })
  ],
  MessagesQueued: [Event.MessagesQueued({ outbox: "./outbox.db", messages: 2 })],
  DeliveryDeferred: [
    Event.DeliveryDeferred({
      outbox: "./outbox.db",
      reason: "cannot connect to server.example:8080: connection refused"
    })
  ],
  MessagesPending: [Event.MessagesPending({ outbox: "./outbox.db", messages: 2, blocked: true })],
  MessagesDelivered: [Event.MessagesDelivered({ address, messages: 3, bytes: 39, suite: "IK" })],
  ReplyReceived: [
    Event.ReplyReceived({ number: 1, text: Buffer.from("HELLO SERVER!") }),
    Event.ReplyReceived({ number: 2, text: binary })
  ],
  FileEncrypted: [
    Event.FileEncrypted({
      file: "plan.txt",
      output: "plan.sealed",
      to: "recipients",
      recipients: 2
    })
  ],
  FileDecrypted: [
    Event.FileDecrypted({
      file: "plan.sealed",
      output: "plan.txt",
      name: "alice",
      origin: {
        kind: "recipients",
        sender: publicKey,
        reader: nextKey,
        recipients: 2,
        rekeyed: false
      }
    }),
    Event.FileDecrypted({ file: "raw", output: "plan.txt", name: undefined, origin: undefined })
  ],
  FileRekeyed: [
    Event.FileRekeyed({
      file: "plan.sealed",
      output: "plan.sealed",
      to: "recipients",
      recipients: 1
    })
  ],
  FileReencrypted: [
    Event.FileReencrypted({
      file: "plan.sealed",
      output: "plan.sealed",
      to: "passphrase",
      recipients: 1
    })
  ],
  TransferPlanned: [Event.TransferPlanned({ files: 2, folders: 1, links: 0, bytes: 150_000_011 })],
  ListingReceived: [Event.ListingReceived({ names: ["photos/", "notes.txt"], more: 0 })],
  EntryPlanned: [
    Event.EntryPlanned({ what: "send", path: "photos/film.mov", kind: "file", bytes: 150_000_000 }),
    Event.EntryPlanned({
      what: "same",
      path: "docs/a.txt",
      kind: "file",
      bytes: 5,
      as: "docs/a (1).txt"
    })
  ],
  FileCompleted: [
    Event.FileCompleted({ path: "photos/film.mov", bytes: 150_000_000, outcome: "stored" }),
    Event.FileCompleted({ path: "docs/a.txt", bytes: 5, outcome: "renamed", as: "docs/a (1).txt" })
  ],
  EntryOmitted: [Event.EntryOmitted({ path: "docs/link", outcome: "link" })],
  DiskFailed: [Event.DiskFailed({ text: "photos: the disk is full" })],
  TransferEnded: [
    Event.TransferEnded({
      verb: "pushed",
      address,
      files: 2,
      bytes: 150_000_011,
      transferredBytes: 50_000_011,
      same: 1,
      skipped: 0
    })
  ],
  FilesStored: [
    Event.FilesStored({ sender: alice, files: [{ path: "photos/film.mov", bytes: 150_000_000 }] })
  ],
  FileFailed: [Event.FileFailed({ sender: alice, text: "photos/film.mov: the disk is full" })],
  TunnelListening: [
    Event.TunnelListening({ listen: "127.0.0.1:5433", to: address, target: "postgres", ready: 2 })
  ],
  TunnelDisconnected: [
    Event.TunnelDisconnected({
      to: address,
      target: "postgres",
      reason: "the connection to server.example:8080 was lost"
    })
  ],
  TunnelReconnected: [Event.TunnelReconnected({ to: address, target: "postgres" })],
  ConnectionStarted: [Event.ConnectionStarted(forwarded)],
  ConnectionEnded: [Event.ConnectionEnded({ ...forwarded, counted, error: undefined })],
  ConnectionReset: [
    Event.ConnectionReset({ ...forwarded, counted, error: "the target closed the connection" })
  ],
  KeyCreated: [Event.KeyCreated({ reference: "./sealwire.key", kind: "shared key" })],
  KeyProtected: [Event.KeyProtected({ file: "./mine.key", kind: "shared key" })],
  KeyUnprotected: [Event.KeyUnprotected({ file: "./mine.key", kind: "shared key" })],
  RotationStatus: [
    Event.RotationStatus({
      file: "./server.key",
      stage: "begun",
      current: publicKey,
      next: nextKey,
      retiring: undefined
    }),
    Event.RotationStatus({
      file: "./server.key",
      stage: "switched",
      current: nextKey,
      next: undefined,
      retiring: publicKey
    })
  ],
  KeyRemoved: [Event.KeyRemoved({ file: "./server.key.retiring", publicKey, current: nextKey })],
  NextStep: [
    Event.NextStep({
      step: 1,
      steps: 1,
      where: "here",
      command: "sealwire keys rotate --switch",
      meaning: "activates the next key"
    })
  ],
  PeerAdded: [Event.PeerAdded({ file, name: "alice", publicKey, keys: 1 })],
  PeersRemoved: [Event.PeersRemoved({ file, peers: [{ name: "alice", publicKey }] })],
  PeersRevoked: [Event.PeersRevoked({ file, peers: [{ name: "alice", publicKey }] })],
  PeerRenamed: [Event.PeerRenamed({ file, from: "alice", to: "alina", keys: 2 })],
  PeersReloaded: [Event.PeersReloaded({ file, keys: 2, ended: 1 })],
  PeersReloadFailed: [
    Event.PeersReloadFailed({ file, fault: "./authorized_peers:3: no name", keys: 2 })
  ],
  SharedKeyUnknown: [
    Event.SharedKeyUnknown({ file, line: 3, name: "alice", sharedKey: "b", sharedKeys: ["a"] })
  ],
  ServerPinned: [
    Event.ServerPinned({ address, name: "mail", publicKey, file: "/home/me/known_peers" })
  ],
  ServerKeysLearned: [
    Event.ServerKeysLearned({
      address,
      name: "mail",
      added: [{ publicKey: nextKey }],
      retiring: [{ publicKey, retires: expiry }],
      retired: [],
      disputed: [],
      left: 1,
      because: "full",
      file: "/home/me/known_peers"
    }),
    Event.ServerKeysLearned({
      address,
      name: "mail",
      added: [{ publicKey: nextKey }],
      retiring: [],
      retired: [{ publicKey, retires: expiry }],
      disputed: [],
      left: 0,
      because: "full",
      file: "/home/me/known_peers"
    })
  ],
  PairingListening: [
    Event.PairingListening({
      address: "0.0.0.0:8080",
      lasts: "10 minutes",
      reachable: true,
      code: "0123-4567-89ab"
    })
  ],
  PartnerVerified: [
    Event.PartnerVerified({ from: "192.0.2.7:41356", suggestion: "laptop", publicKey })
  ],
  PairingCompleted: [
    Event.PairingCompleted({
      address,
      name: "mail",
      publicKey,
      file: "/home/me/known_peers",
      existed: false
    }),
    Event.PairingCompleted({ address: undefined, name: "laptop", publicKey, file, existed: true })
  ],
  ClassicListening: [Event.ClassicListening({ address: "127.0.0.1:8080", cipher: "aes-128-cbc" })],
  ClassicMessageReceived: [Event.ClassicMessageReceived({ peer: "192.0.2.7:41356", text, wire })],
  ClassicMessageRefused: [
    Event.ClassicMessageRefused({
      peer: "192.0.2.7:41356",
      reason: "too long",
      bytes: 9_000_000,
      count: 1
    }),
    Event.ClassicMessageRefused({
      peer: "192.0.2.7",
      reason: "too long",
      bytes: 9_000_000,
      count: 41
    })
  ],
  ClassicMessageSent: [Event.ClassicMessageSent({ address, bytes: text.length, wire })]
}
