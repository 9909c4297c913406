// Networks in memory that lose connections at given bytes.
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Connection } from "../../src/transports/Connection.ts"
import { makeMemory } from "../../src/transports/Memory.ts"
import { Transport } from "../../src/transports/Transport.ts"

/** Bytes after which a connection is lost, by direction. */
export interface Cut {
  readonly written: number
  readonly read: number
}

/** The connection, until so many bytes have gone by. */
const cutOff = (connection: Connection, cut: Cut): Connection => {
  const { flow } = connection
  const left = { ...cut }
  const pass = (bytes: Uint8Array, way: keyof Cut, go: (bytes: Uint8Array) => boolean): boolean => {
    const whole = bytes.length < left[way]
    const went = go(whole ? bytes : bytes.subarray(0, left[way]))
    left[way] -= bytes.length
    if (!whole) flow.reset()
    return went
  }
  return {
    ...connection,
    flow: {
      ...flow,
      write: (bytes, taken) => left.written > 0 && pass(bytes, "written", (some) => flow.write(some, taken)),
      start: (sink) =>
        flow.start({
          ...sink,
          bytes: (chunk) => {
            if (left.read > 0) pass(chunk, "read", (some) => (sink.bytes(some), true))
          }
        })
    }
  }
}

/** A network whose connections are cut so, one after the other; then they last. */
export const lossy = (cuts: ReadonlyArray<Cut>, chunkBytes: number) =>
  Layer.sync(Transport, () => {
    const network = makeMemory({ chunkBytes })
    let made = 0
    return {
      ...network,
      connect: (address) =>
        Effect.map(network.connect(address), (connection) => {
          const cut = cuts[made++]
          return cut === undefined ? connection : cutOff(connection, cut)
        })
    }
  })
