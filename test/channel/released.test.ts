// Outbound beside Inbound: the memory of written bytes is released when all of them are sealed, and
// not before; the preface; and the end after a record that is not authentic.
import { expect, it } from "@effect/vitest"
import { RecordType } from "../../src/channel/ChannelRecord.ts"
import { protocolLimits } from "../../src/channel/limits.ts"
import { Outbound } from "../../src/channel/Outbound.ts"
import { none as noPadding } from "../../src/channel/Padding.ts"
import { Inbound } from "../../src/channel/Inbound.ts"
import { cipherPair } from "./rig.ts"

/** Receives what was written; the caller overwrites its memory in `released`. */
const sent = (lengths: ReadonlyArray<number>) => {
  const [send, receive] = cipherPair()
  const wire: Array<Uint8Array> = []
  const out = new Outbound(send, noPadding, (bytes) => wire.push(Buffer.from(bytes)) > 0)
  const released: Array<number> = []
  for (const [index, length] of lengths.entries()) {
    const bytes = Buffer.alloc(length, index + 1)
    out.data(bytes, () => {
      released.push(index)
      bytes.fill(0xee)
    })
  }
  return { out, wire, receive, released }
}

const contentOf = (wire: ReadonlyArray<Uint8Array>, inbound: Inbound): Buffer => {
  const parts: Array<Uint8Array> = []
  expect(
    inbound.push(Buffer.concat(wire), ({ body }) => void parts.push(Buffer.from(body)))
  ).toBeUndefined()
  return Buffer.concat(parts)
}

it("of small writes after their record, in their order", () => {
  const { out, wire, receive, released } = sent([5, 6, 7])
  expect(released).toEqual([])
  out.flush()
  expect(released).toEqual([0, 1, 2])
  expect(contentOf(wire, new Inbound(receive))).toEqual(
    Buffer.concat([Buffer.alloc(5, 1), Buffer.alloc(6, 2), Buffer.alloc(7, 3)])
  )
})

it("of a write that is split after its last record, once", () => {
  const length = 3 * protocolLimits.bodyBytes + 100
  const { out, wire, receive, released } = sent([10, length, 10])
  out.flush()
  expect(released).toEqual([0, 1, 2])
  const content = contentOf(wire, new Inbound(receive))
  expect(
    content.equals(
      Buffer.concat([Buffer.alloc(10, 1), Buffer.alloc(length, 2), Buffer.alloc(10, 3)])
    )
  ).toBe(true)
})

it("of a write that has only begun to be sealed not yet", () => {
  const [send] = cipherPair()
  // The send buffer is full after the first write.
  const out = new Outbound(send, noPadding, () => false)
  let released = 0
  out.data(Buffer.alloc(17 * protocolLimits.bodyBytes), () => released++)
  expect([released, out.pendingBytes]).toEqual([0, 9 * protocolLimits.bodyBytes])
  out.drained()
  expect([released, out.pendingBytes]).toEqual([0, protocolLimits.bodyBytes])
  out.drained()
  expect([released, out.pendingBytes]).toEqual([1, 0])
})

it("of everything before the end of the stream, even while the send buffer is full", () => {
  const [send, receive] = cipherPair()
  const wire: Array<Uint8Array> = []
  const out = new Outbound(send, noPadding, (bytes) => wire.push(Buffer.from(bytes)) < 0)
  out.data(Buffer.from("first"))
  out.flush()
  out.data(Buffer.from("second"))
  out.record(RecordType.Ping)
  out.flush()
  expect(wire.length).toBe(1)
  out.flush(true)
  expect(contentOf(wire, new Inbound(receive)).toString()).toBe("firstsecond")
})

it("the preface goes out once, in one write with the first record", () => {
  const [send, receive] = cipherPair()
  const wire: Array<Uint8Array> = []
  const write = (bytes: Uint8Array) => wire.push(Buffer.from(bytes)) > 0
  const out = new Outbound(send, noPadding, write, Buffer.from("preface"))
  for (const text of ["one", "two"]) {
    out.data(Buffer.from(text))
    out.flush()
  }
  expect(wire.length).toBe(2)
  const bytes = Buffer.concat(wire)
  expect(bytes.subarray(0, 7).toString()).toBe("preface")
  expect(contentOf([bytes.subarray(7)], new Inbound(receive)).toString()).toBe("onetwo")
})

it("a record that fails authentication ends the input for good", () => {
  const [send, receive] = cipherPair()
  const wire: Array<Uint8Array> = []
  const out = new Outbound(send, noPadding, (bytes) => wire.push(Buffer.from(bytes)) > 0)
  for (const text of ["one", "two"]) {
    out.data(Buffer.from(text))
    out.flush()
  }
  const [first, second] = wire as [Buffer, Buffer]
  first[10] = (first[10] ?? 0) ^ 1
  const inbound = new Inbound(receive)
  const received: Array<unknown> = []
  for (const bytes of [first, second])
    expect(inbound.push(bytes, (record) => received.push(record))).toBe(
      "a record failed authentication"
    )
  expect(received).toEqual([])
})

it("a write in memory that is used again: what can be sent is sealed at once, the rest copied", () => {
  const [send, receive] = cipherPair()
  const wire: Array<Uint8Array> = []
  const out = new Outbound(send, noPadding, (bytes) => wire.push(Buffer.from(bytes)) < 0)
  const memory = Buffer.alloc(12 * protocolLimits.bodyBytes + 5, 1)
  out.data(Buffer.from("before"))
  out.dataNow(memory)
  memory.fill(2)
  // The send buffer is full: eight records went out.
  expect(out.pendingBytes).toBeGreaterThan(3 * protocolLimits.bodyBytes)
  out.dataNow(memory.subarray(7))
  memory.fill(3)
  out.drained()
  out.flush(true)
  const expected = Buffer.concat([
    Buffer.from("before"),
    Buffer.alloc(memory.length, 1),
    Buffer.alloc(memory.length - 7, 2)
  ])
  expect(contentOf(wire, new Inbound(receive)).equals(expected)).toBe(true)
})
