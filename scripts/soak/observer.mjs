// Preloaded into processes whose memory is measured: writes the size of the live heap, after a
// complete collection, into the file SEALWIRE_SOAK_REPORT. Without the collection the figures would
// show when V8 last collected, and a slope would mean nothing. SEALWIRE_SOAK_PLANT adds a leak.
import { openSync, renameSync, writeFileSync } from "node:fs"

const report = process.env.SEALWIRE_SOAK_REPORT
const plant = process.env.SEALWIRE_SOAK_PLANT
const kept = []

const observe = () => {
  globalThis.gc()
  const { heapUsed, external, arrayBuffers } = process.memoryUsage()
  writeFileSync(
    `${report}.new`,
    JSON.stringify({ heapUsed, external, arrayBuffers, at: Date.now() })
  )
  renameSync(`${report}.new`, report)
}

const leak = () => {
  if (plant === "descriptors") kept.push(openSync("/dev/null", "r"))
  if (plant === "memory") kept.push(Array.from({ length: 16_384 }, (_, index) => ({ index })))
}

if (report !== undefined) setInterval(observe, 10_000).unref()
if (plant !== undefined) setInterval(leak, 2000).unref()
