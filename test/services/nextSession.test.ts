import { describe, expect, it } from "vitest"
import type { Channel } from "../../src/channel/Channel.ts"
import { limits } from "../../src/services/limits.ts"
import { refuseNext } from "../../src/services/nextSession.ts"

const [shown, other] = [Uint8Array.of(1), Uint8Array.of(2)]
const open = { onDraining: () => () => {} }
const draining = {
  onDraining: (callback: () => void) => {
    callback()
    return () => {}
  }
}
const young = { ageMillis: limits.reuseMillis - 1, keys: [{ publicKey: shown }] }

describe("the next session of a channel", () => {
  it.each([
    ["with a key that is in use", shown, open, young, undefined],
    ["with a shared key alone", undefined, open, { ...young, keys: [] }, undefined],
    [
      "with a key that has retired",
      shown,
      open,
      { ...young, keys: [{ publicKey: other }] },
      "Done"
    ],
    ["of two minutes", shown, open, { ...young, ageMillis: limits.reuseMillis }, "Done"],
    ["of a server that stops", shown, draining, young, "GoingAway"]
  ] as const)("%s", (_, ownKey, connection, moment, reason) => {
    const flow = { writeError: () => undefined } as Channel["flow"]
    expect(refuseNext({ ownKey, flow }, connection, moment)).toBe(reason)
  })
})
