import type { Side } from "./Side.ts"

/** Everybody, by the name in the table, with the packages each needs. */
export const sides: Readonly<Record<string, { readonly side: () => Promise<Side>; readonly packages?: ReadonlyArray<string> }>> =
  {
    "sealwire NNpsk0": { side: async () => (await import("./sides/sealwire.ts")).sealwire("NNpsk0") },
    "sealwire IK": { side: async () => (await import("./sides/sealwire.ts")).sealwire("IK") },
    "sealwire XX": { side: async () => (await import("./sides/sealwire.ts")).sealwire("XX") },
    prototype: { side: async () => (await import("./sides/prototype.ts")).prototype },
    "node:net": { side: async () => (await import("./sides/net.ts")).net },
    "node:tls": { side: async () => (await import("./sides/tls.ts")).tls },
    "secret-stream": {
      side: async () => (await import("./sides/secretStream.ts")).secretStream,
      packages: ["@hyperswarm/secret-stream"]
    },
    "libp2p-noise": {
      side: async () => (await import("./sides/libp2pNoise.ts")).libp2pNoise,
      packages: ["@chainsafe/libp2p-noise", "@libp2p/crypto", "@libp2p/peer-id"]
    }
  }
