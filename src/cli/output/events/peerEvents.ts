// What there is to say of those whom one knows: peers files and pins.
import * as LogLevel from "effect/LogLevel"
import * as PublicKey from "../../../keys/PublicKey.ts"
import type { Learned } from "../../../peers/KnownPeers.ts"
import { keyFields, plural, formatServerKey, serverKeyFields } from "./phrases.ts"
import type { EventTexts } from "./EventText.ts"

/** A key in a peers file. */
export interface NamedKey {
  readonly name: string
  readonly publicKey: Uint8Array
}

/** What happens. */
export type PeerEvents = {
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
    /** The names that there are. */
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

export const peerTexts: EventTexts<PeerEvents> = {
  PeerAdded: {
    code: "peer-added",
    level: LogLevel.Info,
    line: ({ file, name, publicKey, keys }) =>
      `added ${name} to ${file}: ${PublicKey.fingerprint(publicKey)}${keys > 1 ? `; ${name} has ${plural(keys, "key")} there now` : ""}`,
    fields: ({ file, name, publicKey, keys }) => ({ file, name, ...keyFields(publicKey), keys })
  },
  PeersRemoved: {
    code: "peers-removed",
    level: LogLevel.Info,
    line: ({ file, peers }) => `removed from ${file}: ${peers.map(inWords).join(", ")}`,
    fields: ({ file, peers }) => ({
      file,
      removed: peers.map(({ name, publicKey }) => ({ name, ...keyFields(publicKey) }))
    })
  },
  PeersRevoked: {
    code: "peers-revoked",
    level: LogLevel.Info,
    line: ({ file, peers }) =>
      peers.length === 0
        ? `revoked already, in ${file}; nothing was changed`
        : `revoked for ever in ${file}: ${peers.map(inWords).join(", ")}`,
    fields: ({ file, peers }) => ({
      file,
      revoked: peers.map(({ name, publicKey }) => ({ name, ...keyFields(publicKey) }))
    })
  },
  PeerRenamed: {
    code: "peer-renamed",
    level: LogLevel.Info,
    line: ({ file, from, to, keys }) =>
      `${from} is ${to} from now on, with ${plural(keys, "key")}, in ${file}`,
    fields: ({ file, from, to, keys }) => ({ file, from, to, keys })
  },
  PeersReloaded: {
    code: "peers-reloaded",
    level: LogLevel.Info,
    line: ({ file, keys, ended }) =>
      `${file} was read again: ${plural(keys, "key")}${ended === 0 ? "" : `; ${plural(ended, "session")} ended`}`,
    fields: ({ file, keys, ended }) => ({ file, keys, ended })
  },
  PeersReloadFailed: {
    code: "peers-reload-failed",
    level: LogLevel.Error,
    line: ({ fault, keys }) =>
      `${fault}; the list from before stays in force (${plural(keys, "key")})`,
    fields: ({ file, fault, keys }) => ({ file, fault, keys })
  },
  SharedKeyUnknown: {
    code: "shared-key-unknown",
    level: LogLevel.Error,
    line: ({ file, line, name, sharedKey, sharedKeys }) =>
      `${file}:${line}: ${name} is not let in: its line names the shared key ${sharedKey}, and this server ` +
      (sharedKeys.length === 0
        ? `has none of a name; give it with --key ${sharedKey}=KEY`
        : `has ${sharedKeys.join(", ")}`),
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
      `from now on ${address} is known as ${name} with the key ${PublicKey.fingerprint(publicKey)} (${file}); ` +
      "compare it with what sealwire pubkey shows on the server",
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
    line: ({ address, name, added, retiring, left, because, file }) =>
      `${name} (${address}) says which keys it has: ` +
      [
        ...added.map((key) => `added ${formatServerKey(key)}`),
        ...retiring.map(formatServerKey),
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
  }
}

const reasons = {
  full: "so many stand there already; sealwire peers list --known shows them, and peers remove makes room",
  retiring: "the key it showed retires, and a retiring key brings in no other"
} as const

const inWords = ({ name, publicKey }: NamedKey): string =>
  `${name} (${PublicKey.fingerprint(publicKey)})`
