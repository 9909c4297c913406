import { certificate } from "./secrets.ts"
import { canJetStream } from "./sides/jetStream.ts"
import { sealwireTunnel, socat, withoutPool } from "./sides/sealwireTunnel.ts"
import { spiped } from "./sides/spiped.ts"
import { ssh } from "./sides/ssh.ts"
import { stunnel } from "./sides/stunnel.ts"
import { canTunnel, through, type Tunnel } from "./sides/tunnel.ts"
import type { Side } from "./Side.ts"

interface Contender {
  readonly side: () => Promise<Side>
  /** The npm packages that it needs. */
  readonly packages?: ReadonlyArray<string>
  /** False if another requirement is missing. */
  readonly ready?: () => boolean
}

export const tunnelName = ({ name }: Tunnel): string => `${name}, a tunnel: TCP in and out`

/** The inboxes of `messages acknowledged`, by their durability. */
export const inboxes = {
  sqlite: "SQLite, synchronous=FULL (fsync before each receipt)",
  postgres: "PostgreSQL, synchronous_commit=on (at DATABASE_URL; its tables are made there)",
  jetStream:
    "NATS JetStream, file storage, sync_interval 2m unless it is set (no fsync before the acknowledgement; at NATS_URL)"
} as const

/** Programs that encrypt the connections of other programs. */
export const tunnels: ReadonlyArray<Tunnel> = [
  sealwireTunnel,
  withoutPool,
  spiped,
  stunnel,
  socat,
  ssh
]

/** Every contestant, by its name in the table. */
export const sides: Readonly<Record<string, Contender>> = {
  "sealwire NNpsk0": { side: async () => (await import("./sides/sealwire.ts")).sealwire("NNpsk0") },
  "sealwire IK": { side: async () => (await import("./sides/sealwire.ts")).sealwire("IK") },
  "sealwire XX": { side: async () => (await import("./sides/sealwire.ts")).sealwire("XX") },
  [inboxes.sqlite]: { side: async () => (await import("./sides/inboxes.ts")).sqlite() },
  [inboxes.postgres]: {
    side: async () => (await import("./sides/inboxes.ts")).postgres(),
    ready: () => process.env.DATABASE_URL !== undefined
  },
  [inboxes.jetStream]: {
    side: async () => (await import("./sides/jetStream.ts")).jetStream,
    ready: canJetStream
  },
  prototype: { side: async () => (await import("./sides/prototype.ts")).prototype },
  "node:net": { side: async () => (await import("./sides/net.ts")).net },
  "node:tls": {
    side: async () => (await import("./sides/tls.ts")).tls,
    ready: () => certificate() !== undefined
  },
  "secret-stream": {
    side: async () => (await import("./sides/secretStream.ts")).secretStream,
    packages: ["@hyperswarm/secret-stream"]
  },
  "libp2p-noise": {
    side: async () => (await import("./sides/libp2pNoise.ts")).libp2pNoise,
    packages: ["@chainsafe/libp2p-noise", "@libp2p/crypto", "@libp2p/peer-id"]
  },
  ...Object.fromEntries(
    tunnels.map((tunnel) => [
      tunnelName(tunnel),
      { side: async () => through(tunnel), ready: () => canTunnel(tunnel) }
    ])
  )
}
