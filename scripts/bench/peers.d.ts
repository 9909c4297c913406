// The types of the packages that are installed in this folder only when the benchmark runs.

declare module "@hyperswarm/secret-stream" {
  import type { Duplex } from "node:stream"

  interface KeyPair {
    readonly publicKey: Uint8Array
    readonly secretKey: Uint8Array
  }
  class SecretStream extends Duplex {
    static keyPair(): KeyPair
    constructor(isInitiator: boolean, rawStream: Duplex, options: { readonly keyPair: KeyPair })
  }
  export default SecretStream
}

declare module "@chainsafe/libp2p-noise" {
  interface Bytes {
    readonly subarray: () => Uint8Array
  }
  interface ByteStream {
    readonly source: AsyncIterable<Bytes>
    readonly sink: (source: AsyncIterable<Bytes>) => Promise<void>
  }
  interface Secured {
    readonly conn: ByteStream
  }
  interface Noise {
    readonly secureInbound: (stream: ByteStream) => Promise<Secured>
    readonly secureOutbound: (stream: ByteStream) => Promise<Secured>
  }
  export const noise: () => (components: {
    readonly privateKey: unknown
    readonly peerId: unknown
    readonly logger: unknown
    readonly upgrader: unknown
  }) => Noise
}

declare module "@libp2p/crypto/keys" {
  export const generateKeyPair: (type: "Ed25519") => Promise<unknown>
}

declare module "@libp2p/peer-id" {
  export const peerIdFromPrivateKey: (privateKey: unknown) => unknown
}
