// Peer names: valid in files, logs and environment variables.
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as PeerName from "../../src/peers/PeerName.ts"

describe("a name", () => {
  it.each(["alice", "Größe-2", "a.b_c@d", "7", "名前", "x".repeat(64)])("can be %j", (name) =>
    expect(PeerName.isName(name)).toBe(true)
  )

  it.each([
    ["no characters", ""],
    ["a blank in it", "a b"],
    ["a dot first", ".ssh"],
    ["a dash first", "-rf"],
    ["a slash", "a/b"],
    ["a quote", 'a"b'],
    ["a control character", "a\u0007"],
    ["65 letters", "x".repeat(65)],
    // These make two names look like one.
    ["a soft hyphen", "ali\u00adce"],
    ["a zero-width joiner", "ali\u200dce"],
    ["a Hangul filler", "alice\u3164"],
    ["a direction override", "ali\u202ece"],
    ["a variation selector", "alice\ufe0f"]
  ])("cannot have %s", (_, name) => expect(PeerName.isName(name)).toBe(false))

  it.prop(
    "is made of any text, or is the fallback",
    { text: FastCheck.fullUnicodeString() },
    ({ text }) => {
      expect(PeerName.isName(PeerName.of(text, "server"))).toBe(true)
    }
  )

  it.prop(
    "is made unique, however many peers have it",
    {
      name: FastCheck.constantFrom("a", "x".repeat(64), "\u{10400}".repeat(64)),
      others: FastCheck.integer({ min: 0, max: 12 })
    },
    ({ name, others }) => {
      const peers: Array<{ readonly name: string }> = []
      for (let count = 0; count <= others; count++) peers.push({ name: PeerName.free(name, peers) })
      expect(new Set(peers.map((peer) => peer.name)).size).toBe(others + 1)
      expect(peers.every((peer) => PeerName.isName(peer.name))).toBe(true)
    }
  )
})
