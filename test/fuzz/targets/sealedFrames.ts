// The bytes of an established channel from somebody who does not have its keys.
import type { ChannelRecord } from "../../../src/channel/ChannelRecord.ts"
import { encodeFrame } from "../../../src/channel/Frame.ts"
import { Inbound } from "../../../src/channel/Inbound.ts"
import { CipherState } from "../../../src/noise/CipherState.ts"
import { cut } from "../channelOf.ts"
import { secretOf } from "../fixed.ts"
import { check, type Target } from "../Target.ts"

const key = secretOf(10).expose()
const none = new Uint8Array(0)

/** The frames that the owner of the key has sent: three records of five bytes. */
const sent = ((): ReadonlyArray<Buffer> => {
  const cipher = new CipherState(key)
  return ["first", "again", "third"].map((text) => {
    const sealed = cipher.encryptWithAd(none, Buffer.from(`\x02\0\x05${text}`, "latin1"))
    return Buffer.from(encodeFrame(sealed as Uint8Array))
  })
})()

const open = (chunks: ReadonlyArray<Uint8Array>) => {
  const inbound = new Inbound(new CipherState(key))
  const records: Array<string> = []
  let violation: string | undefined
  for (const chunk of chunks)
    violation = inbound.push(chunk, ({ type, body }: ChannelRecord) =>
      records.push(`${type} ${Buffer.from(body).toString()}`)
    )
  return { records, violation }
}

export const sealedFrames: Target = {
  maxBytes: 512,
  seeds: () => [Buffer.concat(sent), ...sent, Buffer.concat(sent.toReversed())],
  words: sent,
  run: (input) => {
    const { records, violation } = open([input])
    const inParts = open(cut(input, 7))
    check(
      records.join() === inParts.records.join() && violation === inParts.violation,
      `cut: ${violation} / ${inParts.violation}`
    )
    // Nothing is accepted but what was sent, in the order in which it was sent.
    check(
      records.join() === ["2 first", "2 again", "2 third"].slice(0, records.length).join(),
      "forged"
    )
    const accepted = Buffer.concat(sent.slice(0, records.length))
    check(Buffer.compare(input.subarray(0, accepted.length), accepted) === 0, "a forged frame")
    return `${records.length}, ${violation ?? "open"}`
  }
}
