// The records of an established channel, from a peer that has the keys: their order, lengths and
// totals.
import { ChannelState } from "../../../src/channel/ChannelState.ts"
import { encodeHeader, encodeFin, RecordType } from "../../../src/channel/ChannelRecord.ts"
import { CloseCode, encodeClose } from "../../../src/channel/Close.ts"
import { encodeFrame } from "../../../src/channel/Frame.ts"
import type { HandshakeResult } from "../../../src/channel/Handshake.ts"
import { none as noPadding } from "../../../src/channel/Padding.ts"
import { suiteNamed } from "../../../src/channel/Suite.ts"
import { CipherState } from "../../../src/noise/CipherState.ts"
import { Control } from "../../../src/channel/ChannelItem.ts"
import type { Connection, FlowListener } from "../../../src/transports/Connection.ts"
import { cut } from "../channelOf.ts"
import { secretOf } from "../fixed.ts"
import { check, outcomeOf, type Target } from "../Target.ts"

const key = secretOf(9).expose()

const plaintext = (type: number, body: Uint8Array, padding = 0): Buffer => {
  const bytes = Buffer.alloc(3 + body.length + padding)
  encodeHeader(bytes, 0, type as RecordType, body.length)
  bytes.set(body, 3)
  return bytes
}

/** An input is a list of plaintexts: length (u16) | plaintext. The run seals them. */
const inputOf = (...plaintexts: ReadonlyArray<Uint8Array>): Buffer =>
  Buffer.concat(plaintexts.map(encodeFrame))

const none = new Uint8Array(0)
const ready = plaintext(RecordType.Ready, Buffer.from("messages"))
const data = plaintext(RecordType.Data, Buffer.from("hello"), 4)
const fin = plaintext(RecordType.Fin, encodeFin(5))
const close = (code: CloseCode, sent: number): Buffer =>
  plaintext(RecordType.Close, encodeClose({ code, sent, received: 0 }))

/** Splits an input into plaintexts. The last one may be shorter than its length says. */
const plaintextsOf = (input: Buffer): ReadonlyArray<Buffer> => {
  const plaintexts: Array<Buffer> = []
  for (let at = 0; at + 2 <= input.length;) {
    const end = at + 2 + Math.min(input.readUInt16BE(at), 65_519)
    plaintexts.push(input.subarray(at + 2, end))
    at = end
  }
  return plaintexts
}

/** Gives a server these bytes and returns everything that its program sees. */
const receive = (chunks: ReadonlyArray<Uint8Array>): ReadonlyArray<string> => {
  const seen: Array<string> = []
  let from: FlowListener | undefined
  const flow = {
    start: (listener: FlowListener) => void (from = listener),
    stop: () => {},
    pause: () => {},
    resume: () => {},
    write: () => true,
    release: () => {},
    end: () => void seen.push("end of our stream"),
    // A second violation of one chunk resets again, at another time than one of a later chunk.
    reset: () => {},
    isResetByPeer: () => false
  }
  const session: Partial<HandshakeResult> = {
    suite: suiteNamed("IK"),
    send: new CipherState(secretOf(8).expose()),
    receive: new CipherState(key),
    peerName: "alice",
    preface: none
  }
  const state = new ChannelState(
    { peer: "", flow } as unknown as Connection,
    session as HandshakeResult,
    { padding: noPadding },
    (failed, opening) => void seen.push(failed === undefined ? `ready ${opening}` : failed.message)
  )
  state.start()
  let bytes = ""
  const flush = () => {
    if (bytes !== "") seen.push(`data ${bytes}`)
    bytes = ""
  }
  state.flow.start({
    item: (item) => {
      if (!(item instanceof Control)) return void (bytes += Buffer.from(item).toString("hex"))
      flush()
      seen.push(`control ${Buffer.from(item.body).toString("hex")}`)
    },
    drained: () => {},
    end: () => {
      flush()
      seen.push("end")
    },
    closed: (error) => {
      flush()
      seen.push(`${error._tag}: ${error.message}`)
    }
  })
  for (const chunk of chunks) from?.bytes(Buffer.from(chunk))
  from?.end()
  flush()
  return seen
}

export const records: Target = {
  maxBytes: 4096,
  seeds: () => [
    inputOf(ready, data, fin, close(CloseCode.Done, 5)),
    inputOf(ready, data, close(CloseCode.Failed, 5)),
    inputOf(ready, data, data),
    inputOf(data),
    inputOf(ready, plaintext(RecordType.Ping, none), plaintext(RecordType.Pong, none, 9)),
    inputOf(ready, plaintext(RecordType.Control, Buffer.of(1, 2, 3)), data),
    ...Object.values(CloseCode).map((code) => inputOf(ready, close(code, 0))),
    inputOf(ready, fin),
    inputOf(ready, ready)
  ],
  words: [ready, data, fin, close(CloseCode.Done, 0)].map(encodeFrame),
  run: (input) => {
    const cipher = new CipherState(key)
    const wire = Buffer.concat(
      plaintextsOf(input).map((each) => {
        const sealed = cipher.encryptWithAd(none, each)
        return typeof sealed === "string" ? none : encodeFrame(sealed)
      })
    )
    const seen = receive([wire])
    const cutSeen = receive(cut(wire, 61))
    check(seen.join("\n") === cutSeen.join("\n"), `${seen.join("; ")} / ${cutSeen.join("; ")}`)
    const kinds = seen.map((each) => each.replace(/^(data|control|ready) .*/, "$1"))
    return outcomeOf([...new Set(kinds)].toSorted().join(", "))
  }
}
