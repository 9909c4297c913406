// Channels that are used again, with a server that does not know them (TUNNEL.md section 4).
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import {
  NotOffered,
  StreamTruncated,
  type ChannelError
} from "../../../src/channel/ChannelErrors.ts"
import type { Channel } from "../../../src/channel/Channel.ts"
import * as Opening from "../../../src/services/tunnel/Opening.ts"
import { openReusable } from "../../../src/services/tunnel/openReusable.ts"
import { parseOpening } from "../../../src/services/Service.ts"

const channel = {} as Channel
const lost = new StreamTruncated({ peer: "server", code: "ECONNRESET" })

/** Opens with a server that answers the openings in turn: undefined is an offer. */
const openings = (answers: ReadonlyArray<ChannelError | undefined>) =>
  Effect.gen(function* () {
    const opened: Array<string> = []
    const left = [...answers]
    const open = openReusable((opening, use) => {
      opened.push(opening)
      const answer = left.shift()
      return answer === undefined ? use(channel) : Effect.fail(answer)
    }, "it")
    let attempts = 0
    while (left.length > 0 && attempts++ < 20) yield* Effect.ignore(open(() => Effect.void))
    return opened
  })

const unknown = new NotOffered({ peer: "server", opening: "tunnel it +reuse" })
const [once, reused] = ["tunnel it", "tunnel it +reuse"]

describe("the opening", () => {
  it.effect("asks for a channel that is used again, while the server knows that", () =>
    Effect.gen(function* () {
      expect(yield* openings([undefined, undefined, lost, undefined])).toEqual(
        Array.from({ length: 4 }, () => reused)
      )
    })
  )

  it.effect("is the other one as soon as the server does not, and until an attempt fails", () =>
    Effect.gen(function* () {
      expect(
        yield* openings([undefined, unknown, undefined, undefined, lost, unknown, undefined])
      ).toEqual([reused, reused, once, once, once, reused, once])
    })
  )

  it.effect("fails as the server answers when it offers neither", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        openReusable(() => Effect.fail(unknown), "it")(() => Effect.void)
      )
      expect(error._tag).toBe("NotOffered")
    })
  )

  it.each(["", "it", "é".repeat(64)])("of the target %j is read as it was made", (target) => {
    for (const isReused of [false, true]) {
      const text = isReused ? Opening.reused(target) : Opening.once(target)
      const { name, argument } = parseOpening(text)
      expect([name, Opening.isReused(text)]).toEqual(["tunnel", isReused])
      expect(Opening.parseArgument(argument)).toEqual({ target, isReused })
    }
  })

  it("for a name that leaves no room is that of one connection", () => {
    const target = "n".repeat(244)
    expect(Opening.reused(target)).toBe(Opening.once(target))
  })
})
