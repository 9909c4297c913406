// What a server reads before it knows who speaks: hello and message 1.
import { initiate, respond } from "../../../src/channel/Handshake.ts"
import type { ServerKeys } from "../../../src/channel/HandshakeKeys.ts"
import * as Hello from "../../../src/channel/Hello.ts"
import { lengthOf } from "../lengthOf.ts"
import { allSuites } from "../../../src/channel/Suite.ts"
import { alice, mallory, nextServer, otherPsk, psk, server } from "../fixed.ts"
import { check, outcomeOf, type Target } from "../Target.ts"

const prologue = { serverName: "", application: "sealwire/1" }

const serverKeys: ServerKeys = {
  ...prologue,
  suites: allSuites,
  psks: [{ secret: psk }, { name: "other", secret: otherPsk }],
  identities: [server, nextServer],
  authorize: (publicKey) =>
    Buffer.compare(publicKey, alice.publicKey) === 0 ? { name: "alice" } : "not authorized"
}

const firstMessages = (): ReadonlyArray<Uint8Array> =>
  allSuites.flatMap((suite) =>
    [alice, mallory].flatMap((identity) =>
      [server, nextServer].flatMap(({ publicKey: serverKey }) =>
        [psk, otherPsk].map((psk) => {
          const sent: Array<Uint8Array> = []
          const keys = { ...prologue, suite, psk, identity, serverKey }
          initiate(keys, (bytes) => void sent.push(bytes)).next(new Uint8Array(0))
          return Buffer.concat(sent)
        })
      )
    )
  )

export const firstMessage: Target = {
  maxBytes: 400,
  seeds: firstMessages,
  words: ["SLWR", "SLWR\x01\x02\0\0", new Uint8Array(32)],
  run: (input) => {
    let answers = 0
    const client = { address: "", send: () => void answers++, markResponsive: () => {} }
    const steps = respond(client, serverKeys)
    let rest = input
    let step = steps.next(new Uint8Array(0))
    while (step.done !== true) {
      const length = lengthOf(step)
      check(length > 0 && length <= 65_537, `a step waits for ${length} bytes`)
      if (rest.length < length) return answers > 0 ? "waits for message 3" : "waits for message 1"
      step = steps.next(rest.subarray(0, length))
      rest = rest.subarray(length)
    }
    const { value } = step
    if (typeof value === "string") {
      const messages = Hello.decode(input.subarray(0, Hello.helloBytes))?.lengths.length
      // In a handshake of three messages the server answers before it knows the client.
      check(answers === 0 || messages === 3, "a client was answered and then rejected")
      return outcomeOf(value)
    }
    check(answers === 1, "a client was accepted without an answer")
    return `accepted ${value.suite.name}, ${value.peerName}`
  }
}
