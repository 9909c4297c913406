import { missingPackages } from "./packages.ts"
import { missingCertificate } from "./secrets.ts"
import { missingJetStream, missingOwnServer } from "./sides/jetStream.ts"
import { sealwireTunnel, socat, withoutPool } from "./sides/sealwireTunnel.ts"
import { spiped } from "./sides/spiped.ts"
import { ssh } from "./sides/ssh.ts"
import { stunnel } from "./sides/stunnel.ts"
import { missingTunnel, through, type Tunnel } from "./sides/tunnel.ts"
import type { Side } from "./Side.ts"

interface Contender {
  readonly side: () => Promise<Side>
  /** The npm packages that it needs. */
  readonly packages?: ReadonlyArray<string>
  /** Returns another reason for which it cannot run. */
  readonly missing?: () => string | undefined
}

export const tunnelName = ({ name }: Tunnel): string => `${name}, a tunnel: TCP in and out`

/** The inboxes of `messages acknowledged`, by their durability. */
export const inboxes = {
  sqlite: "SQLite, synchronous=FULL (fsync before each receipt)",
  postgres: "PostgreSQL, synchronous_commit=on (at DATABASE_URL; its tables are made there)",
  jetStreamDurable: "NATS JetStream, sync_interval always (fsync before the acknowledgement)",
  jetStream:
    "NATS JetStream, sync_interval 2m unless it is set (no fsync before the acknowledgement; at NATS_URL)"
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

/** Numbers of flows that share a tunnel. */
export const flowCounts = [1, 16, 256] as const
export const flowsName = (count: number): string => `${count} flows`

/** Sizes of messages in bytes. */
const sizes = [0, 100, 1024, 64 * 1024, 1024 * 1024, 16 * 1024 * 1024]
export const sizeName = (bytes: number): string => `messages of ${bytes} bytes`

/** Every contestant, by its name in the table. */
export const sides: Readonly<Record<string, Contender>> = {
  "sealwire NNpsk0": { side: async () => (await import("./sides/sealwire.ts")).sealwire("NNpsk0") },
  "sealwire IK": { side: async () => (await import("./sides/sealwire.ts")).sealwire("IK") },
  "sealwire XX": { side: async () => (await import("./sides/sealwire.ts")).sealwire("XX") },
  [inboxes.sqlite]: { side: async () => (await import("./sides/inboxes.ts")).sqlite() },
  [inboxes.postgres]: {
    side: async () => (await import("./sides/inboxes.ts")).postgres(),
    missing: () => (process.env.DATABASE_URL === undefined ? "DATABASE_URL is not set" : undefined)
  },
  [inboxes.jetStream]: {
    side: async () => (await import("./sides/jetStream.ts")).jetStream("given"),
    missing: missingJetStream
  },
  [inboxes.jetStreamDurable]: {
    side: async () => (await import("./sides/jetStream.ts")).jetStream("own"),
    missing: missingOwnServer
  },
  prototype: { side: async () => (await import("./sides/prototype.ts")).prototype },
  "node:net": { side: async () => (await import("./sides/net.ts")).net },
  "node:tls": {
    side: async () => (await import("./sides/tls.ts")).tls,
    missing: missingCertificate
  },
  "node:tls, acknowledging": {
    side: async () => (await import("./sides/acknowledging.ts")).acknowledging,
    missing: missingCertificate
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
    sizes.map((size) => [
      sizeName(size),
      { side: async () => (await import("./sides/sealwire.ts")).messagesOfSize(size) }
    ])
  ),
  ...Object.fromEntries(
    flowCounts.map((count) => [
      flowsName(count),
      {
        side: async () => through(sealwireTunnel, count),
        missing: () => missingTunnel(sealwireTunnel)
      }
    ])
  ),
  ...Object.fromEntries(
    tunnels.map((tunnel) => [
      tunnelName(tunnel),
      { side: async () => through(tunnel), missing: () => missingTunnel(tunnel) }
    ])
  )
}

/** Returns why a contestant cannot run on this machine, as a clause; undefined if it can. */
export const missing = (name: string): string | undefined => {
  const { packages = [], missing } = sides[name] ?? {}
  return missingPackages(packages) ?? missing?.()
}
