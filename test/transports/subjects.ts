// The transports under test. To add one, add a line here.
import { networkInterfaces, tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { tcp, unix } from "../../src/transports/Address.ts"
import * as Net from "../../src/transports/Net.ts"
import { Transport } from "../../src/transports/index.ts"
import type { TransportSubject } from "../../src/testing/TransportSubject.ts"
import { scopedFolder } from "../fixtures/folder.ts"

export interface Subject extends TransportSubject {
  readonly name: string
  /** True when this machine supports it. */
  readonly here: boolean
}

export const hasV6 = Object.values(networkInterfaces()).some((interfaces) =>
  interfaces?.some(({ address }) => address === "::1")
)

const KiB = 1024
const MiB = 1024 * KiB

const overTcp = (name: string, host: string): Subject => ({
  name,
  here: host !== "::1" || hasV6,
  layer: Transport.layerNet,
  freeAddress: Effect.succeed(tcp(host, 0)),
  unusedAddress: tcp(host, 1),
  unusedReason: "refused",
  supportsReset: true,
  maxUnreadBytes: 16 * MiB,
  maxReadAheadBytes: MiB
})

const overMemory = (name: string, chunkBytes?: number): Subject => ({
  ...overTcp(name, "127.0.0.1"),
  layer: Transport.layerMemory(chunkBytes === undefined ? {} : { chunkBytes }),
  maxUnreadBytes: 128 * KiB,
  maxReadAheadBytes: Math.min(256 * KiB, (chunkBytes ?? KiB) * KiB)
})

export const subjects: ReadonlyArray<Subject> = [
  overTcp("Net, TCP", "127.0.0.1"),
  overTcp("Net, TCP v6", "::1"),
  {
    ...overTcp("Net, Unix", "127.0.0.1"),
    freeAddress: Effect.map(scopedFolder, (path) => unix(join(path, "s"))),
    unusedAddress: unix(join(tmpdir(), "sealwire-nobody", "s")),
    unusedReason: "no such socket",
    supportsReset: false
  },
  {
    ...overTcp("Net, TCP, each read in memory of its own", "127.0.0.1"),
    layer: Layer.succeed(Transport, Net.make({ sharesReads: false }))
  },
  overMemory("Memory"),
  overMemory("Memory cut into 7 bytes", 7),
  overMemory("Memory cut into single bytes", 1)
]
