// What every row must reach: Sealwire's ratio to a contestant of the same run, or Sealwire's own
// figure. A row without a floor only informs.

/** A ratio to a contestant is at least this. Above 1 Sealwire is better, in either direction. */
export type Ratios = Readonly<Record<string, number>>

export interface Floor {
  readonly ratios?: Ratios
  /** Bounds of Sealwire's own figure, in the row's unit. */
  readonly least?: number
  readonly most?: number
}

const tunnel = (program: string) => `${program}, a tunnel: TCP in and out`

/** By the name of the row. */
export const floors: Readonly<Record<string, Floor>> = {
  "bulk, one flow": { ratios: { "node:tls": 0.95, "secret-stream": 1.5, "libp2p-noise": 6 } },
  "bulk, CPU of both ends": { ratios: { "node:tls": 0.95 } },
  "handshakes, 32 at once, NNpsk0": { ratios: { "node:tls": 2.5, "secret-stream": 1.2 } },
  "handshakes, 32 at once, IK": { ratios: { "node:tls": 2, "secret-stream": 1.2 } },
  "handshakes, 32 at once, XX": { ratios: { "node:tls": 1.6, "secret-stream": 1.2 } },
  "a refused stranger, CPU of the server, NNpsk0": { most: 0.25 },
  "a refused stranger, CPU of the server, IK": { most: 0.25 },
  "handshake beside 5,000 half-open connections, p95": { most: 100 },
  "request and receipt, p50": { ratios: { "node:tls": 0.7 } },
  "request and receipt, p99": { ratios: { "node:tls": 0.7 } },
  "messages of 100 bytes, one way": {
    ratios: { "node:tls, acknowledging": 0.7, "secret-stream": 12 }
  },
  "messages acknowledged, by inbox": {
    ratios: { "NATS JetStream, sync_interval always (fsync before the acknowledgement)": 1.5 },
    least: 50_000
  },
  "memory of an idle connection": { ratios: { "node:tls": 2.5 } },
  "files: encrypt 1 GiB": { ratios: { age: 1.5, "openssl enc -aes-256-ctr": 1, typage: 14 } },
  "files: decrypt 1 GiB": { ratios: { age: 1.5, "openssl enc -aes-256-ctr": 1, typage: 14 } },
  "files: memory to encrypt 1 GiB": { most: 60 },
  "files: memory to decrypt 1 GiB": { most: 60 },
  "push of 1 GiB": { ratios: { "rsync --fsync over ssh": 1.2, scp: 1 } },
  "push of 1 GiB, in memory": { ratios: { "rsync --fsync over ssh": 1.2, scp: 1 } },
  "push of 10,000 files of 4 KiB": { ratios: { "rsync --fsync over ssh": 1.5 } },
  "push of 10,000 unchanged files": { ratios: { "rsync --fsync over ssh": 0.5 } },
  "tunnel, one flow": {
    ratios: { [tunnel("spiped")]: 4, [tunnel("stunnel")]: 1.3, [tunnel("ssh")]: 1.1 }
  },
  "tunnel, connections, 32 at once": {
    ratios: { [tunnel("stunnel")]: 1, [tunnel("ssh")]: 0.6 }
  },
  "tunnel, round trip of 100 bytes, p50": {
    ratios: { [tunnel("stunnel")]: 1.2, [tunnel("ssh")]: 1 }
  },
  "tunnel, round trip of 100 bytes, p99": {
    ratios: { [tunnel("stunnel")]: 1.2, [tunnel("ssh")]: 1 }
  },
  "tunnel, connect and first byte, one at a time, p50": {
    ratios: { [tunnel("stunnel")]: 1.5, [tunnel("ssh")]: 0.8 }
  },
  // Of growth the ratio is the part of the first size's speed that another size keeps.
  "growth: CPU of the server for one more connection": {
    ratios: { "3000 open": 0.7, "10000 open": 0.7 }
  },
  "growth: flows of a tunnel, together": { ratios: { "16 flows": 0.8, "256 flows": 0.8 } },
  "growth: flows of a tunnel, CPU of its two ends": {
    ratios: { "16 flows": 0.8, "256 flows": 0.8 }
  },
  "growth: small messages, one way": { ratios: { "messages of 0 bytes": 0.9 } },
  "growth: bytes of large messages": {
    ratios: {
      "messages of 65536 bytes": 0.8,
      "messages of 1048576 bytes": 0.8,
      "messages of 16777216 bytes": 0.8
    }
  },
  "growth: peers, CPU of a reload for each line": {
    ratios: { "10000 peers": 0.7, "100000 peers": 0.7 }
  },
  "growth: peers, one looked up in a handshake": { most: 5 },
  "growth: peers, longest block of a reload": { most: 20 },
  "growth: stored messages, one more": { ratios: { "100000 stored": 0.5, "1000000 stored": 0.5 } },
  "growth: stored messages, one leased and acknowledged": {
    ratios: { "100000 stored": 0.5, "1000000 stored": 0.5 }
  },
  "growth: stored messages, longest wait during prune": { most: 250 },
  // At most 2.1 times the time of an empty Node program.
  "start-up of --help": { ratios: { "node -e 0": 1 / 2.1 } }
}
