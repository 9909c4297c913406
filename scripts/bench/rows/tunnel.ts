import { kept } from "../pairs.ts"
import type { Row } from "../Row.ts"
import { operations } from "../scale.ts"
import { tunnelName } from "../sides.ts"
import { sealwireTunnel, socat, withoutPool } from "../sides/sealwireTunnel.ts"
import { spiped } from "../sides/spiped.ts"
import { ssh } from "../sides/ssh.ts"
import { stunnel } from "../sides/stunnel.ts"

const GB = 1e9
const amountOf = (side: string) => operations((side === tunnelName(spiped) ? 64 : 256) * 2 ** 20)
const connections = operations(1000)

const names = {
  sealwire: tunnelName(sealwireTunnel),
  withoutPool: tunnelName(withoutPool),
  spiped: tunnelName(spiped),
  stunnel: tunnelName(stunnel),
  socat: tunnelName(socat),
  ssh: tunnelName(ssh)
} as const

/**
 * `sealwire tunnel` and other programs, with a process at each end: source -> near end -> far end
 * -> sink.
 */
const bulk: Row = {
  figures: [
    { name: "tunnel, one flow", unit: "GB/s", better: "higher" },
    { name: "tunnel, CPU of its two ends", unit: "s/GB", better: "lower" }
  ],
  rounds: 5,
  contestants: [names.sealwire, names.spiped, names.stunnel, names.socat, names.ssh].map((side) => {
    const gigabytes = amountOf(side) / GB
    return kept(side, "bulk", amountOf(side), ({ seconds = 0, programs = 0 }) => [
      gigabytes / seconds,
      programs / gigabytes
    ])
  })
}

/**
 * Connects, reads one byte and closes, 32 at once. Without spiped, see handshakes. ssh opens a
 * channel in one connection.
 */
const connects: Row = {
  figures: [{ name: "tunnel, connections, 32 at once", unit: "1/s", better: "higher" }],
  rounds: 3,
  contestants: [names.sealwire, names.withoutPool, names.stunnel, names.socat, names.ssh].map(
    (side) => kept(side, "handshakes", connections, ({ seconds = 0 }) => [connections / seconds])
  )
}

/** 100 bytes there and back through an open connection, and the same without a tunnel. */
const latency: Row = {
  figures: [
    { name: "tunnel, round trip of 100 bytes, p50", unit: "us", better: "lower" },
    { name: "tunnel, round trip of 100 bytes, p99", unit: "us", better: "lower" }
  ],
  rounds: 5,
  contestants: [
    names.sealwire,
    "node:net",
    names.spiped,
    names.stunnel,
    names.socat,
    names.ssh
  ].map((side) => kept(side, "roundTrips", operations(2000), ({ p50 = 0, p99 = 0 }) => [p50, p99]))
}

/**
 * The delay for a program that connects now and then: connect, one byte there and back. Pooled
 * channels save the handshake.
 */
const firstByte: Row = {
  figures: [
    { name: "tunnel, connect and first byte, one at a time, p50", unit: "us", better: "lower" }
  ],
  rounds: 3,
  contestants: [
    names.sealwire,
    names.withoutPool,
    "node:net",
    names.spiped,
    names.stunnel,
    names.socat,
    names.ssh
  ].map((side) => kept(side, "firstBytes", operations(1000), ({ p50 = 0 }) => [p50]))
}

export const tunnelRows: ReadonlyArray<Row> = [bulk, connects, latency, firstByte]
