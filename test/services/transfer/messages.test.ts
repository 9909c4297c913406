import { it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { describe, expect } from "vitest"
import * as Messages from "../../../src/services/transfer/Messages.ts"
import type { SafePath } from "../../../src/services/transfer/SafePath.ts"

describe("the decoders of frame bodies", () => {
  it.prop(
    "never throw, and re-encode to the same bytes",
    { bytes: FastCheck.uint8Array({ maxLength: 40 }) },
    ({ bytes }) => {
      const body = Buffer.from(bytes)
      for (const decode of [
        Messages.decodePush,
        Messages.decodePull,
        Messages.decodeLeftOut,
        Messages.decodeReceipts,
        Messages.decodeSkip,
        Messages.decodeStop
      ])
        expect(() => decode(body)).not.toThrow()
      const push = Messages.decodePush(body)
      if (push !== undefined) expect(Buffer.from(Messages.encodePush(push))).toEqual(body)
      const receipts = Messages.decodeReceipts(body)
      if (receipts !== undefined) expect(Messages.encodeReceipts(receipts)).toEqual(body)
    }
  )

  it("reject a PULL or a receipt with a path that leads out", () => {
    for (const text of ["..", "/etc", "a/../b", "a\0"]) {
      // Encoders take only the text of a path, so that a test can send any.
      const path = { text } as SafePath
      const pull = Messages.encodePull({ links: "skip", dry: false, paths: [path] })
      expect(Messages.decodePull(Buffer.from(pull))).toBeUndefined()
      const receipts = Messages.encodeReceipts([{ index: 0, outcome: "renamed", path }])
      expect(Messages.decodeReceipts(Buffer.from(receipts))).toBeUndefined()
    }
  })
})
