// A whole handshake of which one message is changed: no change may lead to a session.
import { finish, initiate, respond } from "../../../src/channel/Handshake.ts"
import type { ServerKeys } from "../../../src/channel/HandshakeKeys.ts"
import { ForeignAnswer } from "../../../src/channel/HandshakeFailure.ts"
import { lengthOf } from "../lengthOf.ts"
import { allSuites } from "../../../src/channel/Suite.ts"
import { alice, psk, server } from "../fixed.ts"
import { check, outcomeOf, type Target } from "../Target.ts"

const prologue = { serverName: "name", application: "sealwire/1" }

const serverKeys: ServerKeys = {
  ...prologue,
  suites: allSuites,
  psks: [{ secret: psk }],
  identities: [server],
  authorize: (publicKey) =>
    Buffer.compare(publicKey, alice.publicKey) === 0 ? { name: "alice" } : "not authorized"
}

/** Input: suite (1) | message that is changed, 0 for none (1) | mask that is added by XOR. */
const seeds = (): ReadonlyArray<Uint8Array> =>
  allSuites.flatMap((_, index) =>
    [0, 1, 2, 3].map((message) =>
      Buffer.concat([Buffer.of(index, message), Buffer.alloc(12), Buffer.of(1)])
    )
  )

export const handshake: Target = {
  maxBytes: 160,
  seeds,
  run: (input) => {
    const suite = allSuites[(input[0] ?? 0) % allSuites.length] as (typeof allSuites)[number]
    const [, changed = 0, ...mask] = input
    let messages = 0
    let isChanged = false
    const transmit = (message: Uint8Array): Buffer => {
      const bytes = Buffer.from(message)
      if (++messages !== changed % 4) return bytes
      for (const [at, byte] of mask.slice(0, bytes.length).entries())
        bytes[at] = (bytes[at] as number) ^ byte
      isChanged = Buffer.compare(bytes, message) !== 0
      return bytes
    }

    const toServer: Array<Uint8Array> = []
    const toClient: Array<Uint8Array> = []
    const client = initiate(
      { ...prologue, suite, psk, identity: alice, serverKey: server.publicKey },
      (bytes) => void toServer.push(transmit(bytes))
    )
    const responder = respond(
      {
        address: "",
        send: (bytes) => void toClient.push(transmit(bytes)),
        markResponsive: () => {}
      },
      serverKeys
    )
    const take = (from: Array<Uint8Array>, length: number): Buffer | undefined => {
      const all = Buffer.concat(from)
      from.splice(0, from.length, all.subarray(length))
      return all.length < length ? undefined : all.subarray(0, length)
    }
    const isRefused = (): string => {
      check(isChanged, "a handshake without a change failed")
      return `message ${changed % 4} of ${suite.name} refused`
    }

    let asked = client.next(new Uint8Array(0))
    let step = responder.next(new Uint8Array(0))
    while (step.done !== true && toClient.length === 0) {
      const bytes = take(toServer, lengthOf(step))
      if (bytes === undefined) return isRefused()
      step = responder.next(bytes)
    }
    if (step.done === true && typeof step.value === "string")
      return `${isRefused()}: ${outcomeOf(step.value)}`
    while (asked.done !== true) {
      const answer = take(toClient, lengthOf(asked))
      if (answer === undefined) return isRefused()
      asked = client.next(answer)
    }
    const state = asked.value
    if (state instanceof ForeignAnswer) return `${isRefused()}: ${outcomeOf(state.reason)}`
    if (typeof state === "string") return `${isRefused()}: ${outcomeOf(state)}`
    const near = finish(suite, state)
    if (typeof near === "string") return `${isRefused()}: ${outcomeOf(near)}`
    if (step.done !== true) {
      const third = transmit(near.preface)
      if (third.length < lengthOf(step)) return isRefused()
      step = responder.next(third)
    }
    const far = step.done === true ? step.value : "not done"
    if (typeof far !== "object") return `${isRefused()}: ${outcomeOf(String(far))}`
    check(!isChanged, "a changed handshake led to a session")
    check(Buffer.compare(near.handshakeHash, far.handshakeHash) === 0, "two handshake hashes")
    return `${suite.name}, ${far.peerName}`
  }
}
