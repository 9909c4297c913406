// Events of the peers files: authorized clients, pinned servers, announced keys.
import * as LogLevel from "effect/LogLevel"
import * as PublicKey from "../../../keys/PublicKey.ts"
import type { Learned } from "../../../peers/KnownPeers.ts"
import { formatServerKey, keyFields, plural, serverKeyFields } from "./phrases.ts"
import type { EventTexts } from "./EventText.ts"

/** A key in a peers file. */
export interface NamedKey {
  readonly name: string
  readonly publicKey: Uint8Array
}

export type PeerEvents = {
  /** `keys` counts the keys of this name in the file. */
  PeerAdded: {
    readonly file: string
    readonly name: string
    readonly publicKey: Uint8Array
    readonly keys: number
  }
  PeersRemoved: { readonly file: string; readonly peers: ReadonlyArray<NamedKey> }
  PeersRevoked: { readonly file: string; readonly peers: ReadonlyArray<NamedKey> }
  PeerRenamed: {
    readonly file: string
    readonly from: string
    readonly to: string
    readonly keys: number
  }
  PeersReloaded: { readonly file: string; readonly keys: number; readonly ended: number }
  PeersReloadFailed: { readonly file: string; readonly fault: string; readonly keys: number }
  SharedKeyUnknown: {
    readonly file: string
    readonly line: number
    readonly name: string
    readonly sharedKey: string
    /** The names of the shared keys that the server has. */
    readonly sharedKeys: ReadonlyArray<string>
  }
  ServerPinned: {
    readonly address: string
    readonly name: string
    readonly publicKey: Uint8Array
    readonly file: string
  }
  ServerKeysLearned: Learned
}

const formatNamedKey = ({ name, publicKey }: NamedKey): string =>
  `${name} (${PublicKey.fingerprint(publicKey)})`

const namedKeyFields = ({ name, publicKey }: NamedKey) => ({ name, ...keyFields(publicKey) })

/** Why announced keys were not added. */
const notAddedReasons = {
  full: "known_peers holds the maximum number of keys for this server; sealwire peers list --known shows them, sealwire peers remove makes room",
  retiring: "the server authenticated with a key that retires, which cannot add another"
} as const

export const peerTexts: EventTexts<PeerEvents> = {
  PeerAdded: {
    code: "peer-added",
    level: LogLevel.Info,
    line: ({ file, name, publicKey, keys }) =>
      `added ${name} (${PublicKey.fingerprint(publicKey)}) to ${file}` +
      (keys > 1 ? `; ${name} now has ${plural(keys, "key")}` : ""),
    fields: ({ file, name, publicKey, keys }) => ({ file, name, ...keyFields(publicKey), keys })
  },
  PeersRemoved: {
    code: "peers-removed",
    level: LogLevel.Info,
    line: ({ file, peers }) => `removed ${peers.map(formatNamedKey).join(", ")} from ${file}`,
    fields: ({ file, peers }) => ({ file, removed: peers.map(namedKeyFields) })
  },
  PeersRevoked: {
    code: "peers-revoked",
    level: LogLevel.Info,
    line: ({ file, peers }) =>
      peers.length === 0
        ? `already revoked in ${file}; nothing changed`
        : `revoked ${peers.map(formatNamedKey).join(", ")} permanently in ${file}`,
    fields: ({ file, peers }) => ({ file, revoked: peers.map(namedKeyFields) })
  },
  PeerRenamed: {
    code: "peer-renamed",
    level: LogLevel.Info,
    line: ({ file, from, to, keys }) =>
      `renamed ${from} to ${to} in ${file} (${plural(keys, "key")})`,
    fields: ({ file, from, to, keys }) => ({ file, oldName: from, newName: to, keys })
  },
  PeersReloaded: {
    code: "peers-reloaded",
    level: LogLevel.Info,
    line: ({ file, keys, ended }) =>
      `reloaded ${file}: ${plural(keys, "key")}${ended === 0 ? "" : `; ${plural(ended, "session")} ended`}`,
    fields: ({ file, keys, ended }) => ({ file, keys, endedSessions: ended })
  },
  PeersReloadFailed: {
    code: "peers-reload-failed",
    level: LogLevel.Error,
    line: ({ fault, keys }) =>
      `${fault}; the previous list remains in force (${plural(keys, "key")})`,
    fields: ({ file, fault, keys }) => ({ file, reason: fault, keys })
  },
  SharedKeyUnknown: {
    code: "shared-key-unknown",
    level: LogLevel.Error,
    line: ({ file, line, name, sharedKey, sharedKeys }) =>
      `${file}:${line}: ${name} is refused: the line requires the shared key "${sharedKey}", ` +
      (sharedKeys.length === 0
        ? `and this server has no named shared key; load it with --key ${sharedKey}=KEY`
        : `and this server has ${sharedKeys.join(", ")}`),
    fields: ({ file, line, name, sharedKey, sharedKeys }) => ({
      file,
      line,
      name,
      sharedKey,
      sharedKeys
    })
  },
  ServerPinned: {
    code: "server-pinned",
    level: LogLevel.Warning,
    line: ({ address, name, publicKey, file }) =>
      `pinned ${address} as ${name} with the key ${PublicKey.fingerprint(publicKey)} in ${file}; ` +
      "compare the fingerprint with sealwire pubkey on the server",
    fields: ({ address, name, publicKey, file }) => ({
      address,
      name,
      ...keyFields(publicKey),
      file
    })
  },
  ServerKeysLearned: {
    code: "server-keys-learned",
    level: LogLevel.Info,
    line: ({ address, name, added, retiring, retired, left, because, file }) =>
      `${name} (${address}) announced its keys: ` +
      [
        ...added.map((key) => `added ${formatServerKey(key)}`),
        ...retiring.map(formatServerKey),
        ...retired.map(
          ({ publicKey }) => `retired ${PublicKey.fingerprint(publicKey)}, which is not among them`
        ),
        ...(left === 0 ? [] : [`${left} not added: ${notAddedReasons[because]}`])
      ].join("; ") +
      ` (${file})`,
    fields: ({ address, name, added, retiring, retired, left, because, file }) => ({
      address,
      name,
      added: added.map(serverKeyFields),
      retiring: retiring.map(serverKeyFields),
      retired: retired.map(serverKeyFields),
      ...(left === 0 ? {} : { notAdded: left, reasonCode: because }),
      file
    })
  }
}
