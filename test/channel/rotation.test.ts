// A server with several keys: it finds the right key and accepts no wrong one.
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { Secret } from "../../src/bytes/Secret.ts"
import type { Steps } from "../../src/channel/HandshakeDriver.ts"
import { finish, initiate, respond, type HandshakeResult } from "../../src/channel/Handshake.ts"
import type { InitiatorKeys, ServerKeys } from "../../src/channel/HandshakeKeys.ts"
import { limits } from "../../src/channel/limits.ts"
import { HandshakeState } from "../../src/noise/HandshakeState.ts"
import { generate } from "../../src/keys/KeyPair.ts"
import { lengthOf } from "../fuzz/lengthOf.ts"
import { alice, initiatorKeys, equalBytes, serverKeys, suiteOf } from "./rig.ts"

const pairs = Array.from({ length: limits.identities + 1 }, generate)
const psks = Array.from({ length: limits.sharedKeys + 1 }, (_, index) => ({
  name: `key-${index}`,
  secret: Secret.random(32)
}))

/** Runs handshake steps on given bytes. */
const fed = <A>(steps: Steps<A>) => {
  let bytes = Buffer.alloc(0)
  let at = steps.next()
  return {
    push: (more: Uint8Array) => {
      bytes = Buffer.concat([bytes, more])
      while (at.done !== true && bytes.length >= lengthOf(at)) {
        const piece = bytes.subarray(0, lengthOf(at))
        bytes = bytes.subarray(piece.length)
        at = steps.next(piece)
      }
    },
    result: () => (at.done === true ? at.value : "not done")
  }
}

/** Runs both sides of a handshake without a connection. */
const shaken = (
  client: InitiatorKeys,
  server: ServerKeys
): { readonly client: HandshakeResult | string; readonly server: HandshakeResult | string } => {
  const toServer: Array<Uint8Array> = []
  const toClient: Array<Uint8Array> = []
  const near = fed(initiate(client, (bytes) => toServer.push(bytes)))
  const far = fed(
    respond(
      { address: "10.0.0.1:1", send: (bytes) => toClient.push(bytes), markResponsive: () => {} },
      server
    )
  )
  for (const bytes of toServer.splice(0)) far.push(bytes)
  for (const bytes of toClient.splice(0)) near.push(bytes)
  const state = near.result()
  const session = state instanceof HandshakeState ? finish(client.suite, state) : String(state)
  if (typeof session !== "string") far.push(session.preface)
  return { client: session, server: far.result() }
}

const nameOf = (session: HandshakeResult | string) =>
  typeof session === "string" ? "refused" : session.peerName
const agreed = ({ client, server }: ReturnType<typeof shaken>) =>
  typeof client !== "string" &&
  typeof server !== "string" &&
  equalBytes(client.handshakeHash, server.handshakeHash)

const some = <A>(all: ReadonlyArray<A>, most: number) =>
  FastCheck.shuffledSubarray([...all], { minLength: 0, maxLength: most })
const wantsKey =
  (sharedKey?: string): ServerKeys["authorize"] =>
  (publicKey) =>
    equalBytes(publicKey, alice.publicKey)
      ? { name: "alice", ...(sharedKey === undefined ? {} : { sharedKey }) }
      : "unknown"

describe("a server with several keys", () => {
  it.prop(
    "NNpsk0: finds the client's shared key and takes its name",
    { held: FastCheck.constantFrom(...psks), offered: some(psks, limits.sharedKeys) },
    ({ held, offered }) => {
      const done = shaken(
        { ...initiatorKeys(suiteOf("NNpsk0")), psk: held.secret },
        { ...serverKeys, psks: offered }
      )
      expect(nameOf(done.server)).toBe(offered.includes(held) ? held.name : "refused")
      expect(agreed(done)).toBe(offered.includes(held))
    }
  )

  it.prop(
    "IK: finds the identity that the client has pinned",
    { pinned: FastCheck.constantFrom(...pairs), identities: some(pairs, limits.identities) },
    ({ pinned, identities }) => {
      const done = shaken(
        { ...initiatorKeys(suiteOf("IK")), serverKey: pinned.publicKey },
        { ...serverKeys, identities }
      )
      expect(nameOf(done.server)).toBe(identities.includes(pinned) ? "alice" : "refused")
      expect(agreed(done)).toBe(identities.includes(pinned))
    }
  )

  it.prop(
    "XX: presents the first identity only",
    { identities: some(pairs, limits.identities) },
    ({ identities }) => {
      FastCheck.pre(identities.length > 0)
      const { client } = shaken(initiatorKeys(suiteOf("XX")), { ...serverKeys, identities })
      expect(typeof client === "string" ? client : client.remoteStatic).toEqual(
        identities[0]?.publicKey
      )
    }
  )

  it.prop(
    "IKpsk2, XXpsk3: accepts the shared key of the client's rule with any identity, and no other",
    {
      name: FastCheck.constantFrom("IKpsk2" as const, "XXpsk3" as const),
      pinned: FastCheck.constantFrom(...pairs.slice(0, limits.identities)),
      identities: some(pairs.slice(0, limits.identities), limits.identities),
      held: FastCheck.constantFrom(...psks),
      offered: some(psks, limits.sharedKeys),
      rule: FastCheck.option(FastCheck.constantFrom(...psks), { nil: undefined })
    },
    ({ name, pinned, identities, held, offered, rule }) => {
      FastCheck.pre(identities.length > 0)
      const suite = suiteOf(name)
      const wanted = rule === undefined ? offered[0] : offered.find((key) => key === rule)
      const done = shaken(
        { ...initiatorKeys(suite), psk: held.secret, serverKey: pinned.publicKey },
        { ...serverKeys, identities, psks: offered, authorize: wantsKey(rule?.name) }
      )
      const right = held === wanted && (!suite.hasServerKey || identities.includes(pinned))
      expect(agreed(done)).toBe(right)
      // In IKpsk2 the client detects the wrong key in message 2, the server only at READY.
      if (right) expect(nameOf(done.server)).toBe("alice")
      if (name === "XXpsk3" && !right) expect(nameOf(done.server)).toBe("refused")
    }
  )
})

describe("a rule that names a shared key", () => {
  it.each(["IK", "XX"] as const)("rejects %s, which has none", (name) => {
    const refusal = { server: "it needs the shared key key-1 as well" }
    expect(
      shaken(initiatorKeys(suiteOf(name)), { ...serverKeys, psks, authorize: wantsKey("key-1") })
    ).toMatchObject(refusal)
  })

  it.each(["IK", "XX", "IKpsk2", "XXpsk3"] as const)(
    "that does not exist rejects %s without a defect",
    (name) => {
      const held = psks[0]?.secret as Secret
      const keys = { ...initiatorKeys(suiteOf(name)), psk: held }
      const refusal = { server: "it needs the shared key gone, which this server does not have" }
      expect(shaken(keys, { ...serverKeys, psks, authorize: wantsKey("gone") })).toMatchObject(
        refusal
      )
    }
  )

  it.each(["NNpsk0", "IKpsk2", "XXpsk3"] as const)(
    "%s without any shared key is rejected without a defect",
    (name) => {
      const refusal = { server: "this server has no key for it" }
      expect(shaken(initiatorKeys(suiteOf(name)), { ...serverKeys, psks: [] })).toMatchObject(
        refusal
      )
    }
  )
})

describe("the keys that a suite does not need", () => {
  it("do not matter: NNpsk0 works on a server without an identity", () => {
    const { secret } = psks[0] as (typeof psks)[0]
    const client = { ...initiatorKeys(suiteOf("NNpsk0")), psk: secret }
    expect(agreed(shaken(client, { ...serverKeys, psks, identities: [] }))).toBe(true)
  })

  it.each(["XX", "XXpsk3"] as const)("%s presents the first identity of several", (name) => {
    const { secret } = psks[0] as (typeof psks)[0]
    const { client } = shaken(
      { ...initiatorKeys(suiteOf(name)), psk: secret },
      { ...serverKeys, psks, identities: pairs.slice(0, 3), authorize: wantsKey() }
    )
    expect(typeof client === "string" ? client : client.remoteStatic).toEqual(pairs[0]?.publicKey)
  })

  it("a client is called by its own key, not by the name of a shared one", () => {
    const { secret } = psks[0] as (typeof psks)[0]
    const client = { ...initiatorKeys(suiteOf("XXpsk0")), psk: secret }
    const { server } = shaken(client, { ...serverKeys, psks, authorize: wantsKey() })
    expect(nameOf(server)).toBe("alice")
  })
})
