import { choose, kept } from "../pairs.ts"
import type { Row } from "../Row.ts"
import { tunnelName } from "../sides.ts"
import { sealwireTunnel, socat, withoutPool } from "../sides/sealwireTunnel.ts"
import { spiped } from "../sides/spiped.ts"
import { ssh } from "../sides/ssh.ts"
import { stunnel } from "../sides/stunnel.ts"

const GB = 1e9
const amountOf = (side: string) => (side === tunnelName(spiped) ? 64 : 256) * 2 ** 20
const connections = 192

const names = {
  sealwire: tunnelName(sealwireTunnel),
  withoutPool: tunnelName(withoutPool),
  spiped: tunnelName(spiped),
  stunnel: tunnelName(stunnel),
  socat: tunnelName(socat),
  ssh: tunnelName(ssh)
} as const

/** The product's command beside other programs, each with a process at both ends: source -> near end -> far end -> sink. */
const bulk: Row = {
  figures: [
    {
      name: "tunnel, one flow",
      unit: "GB/s",
      better: "higher",
      target: { [names.spiped]: 4, [names.stunnel]: 1.2, [names.ssh]: 1 }
    },
    { name: "tunnel, CPU of its two ends", unit: "s/GB", better: "lower" }
  ],
  rounds: 5,
  contestants: async () =>
    choose([names.sealwire, names.spiped, names.stunnel, names.socat, names.ssh], (side) => {
      const gigabytes = amountOf(side) / GB
      return kept(side, "bulk", amountOf(side), ({ seconds = 0, programs = 0 }) => [
        gigabytes / seconds,
        programs / gigabytes
      ])
    })
}

/** Connect, hear one byte, close: 32 at once. Without spiped, see handshakes. ssh opens a channel in a connection that stands. */
const connects: Row = {
  figures: [{ name: "tunnel, connections, 32 at once", unit: "1/s", better: "higher" }],
  rounds: 5,
  contestants: async () =>
    choose([names.sealwire, names.withoutPool, names.stunnel, names.socat, names.ssh], (side) =>
      kept(side, "handshakes", connections, ({ seconds = 0 }) => [connections / seconds])
    )
}

/** 100 bytes there and back through a connection that stands, and the same with no tunnel. */
const latency: Row = {
  figures: [
    { name: "tunnel, round trip of 100 bytes, p50", unit: "us", better: "lower" },
    { name: "tunnel, round trip of 100 bytes, p99", unit: "us", better: "lower" }
  ],
  rounds: 5,
  contestants: async () =>
    choose(
      [names.sealwire, "node:net", names.spiped, names.stunnel, names.socat, names.ssh],
      (side) => kept(side, "roundTrips", 2000, ({ p50 = 0, p99 = 0 }) => [p50, p99])
    )
}

/** What a program waits that connects now and then: connect, one byte there and back. Ready channels spare it the handshake. */
const firstByte: Row = {
  figures: [
    { name: "tunnel, connect and first byte, one at a time, p50", unit: "us", better: "lower" }
  ],
  rounds: 5,
  contestants: async () =>
    choose(
      [
        names.sealwire,
        names.withoutPool,
        "node:net",
        names.spiped,
        names.stunnel,
        names.socat,
        names.ssh
      ],
      (side) => kept(side, "firstBytes", 100, ({ p50 = 0 }) => [p50])
    )
}

export const tunnelRows: ReadonlyArray<Row> = [bulk, connects, latency, firstByte]
