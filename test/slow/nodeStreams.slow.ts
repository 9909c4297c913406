// A stream that does not end while its server closes: after a grace of ten seconds both sides get an error.
import { expect, it } from "vitest"
import { connect, KeyPair, listen, type SealwireError, type SecureDuplex } from "../../src/node.ts"

const [server, alice] = [KeyPair.generate(), KeyPair.generate()]

const endOf = (stream: SecureDuplex) =>
  new Promise<ReadonlyArray<string>>((resolve) => {
    const events: Array<string> = []
    stream
      .on("end", () => events.push("end"))
      .on("error", (error: SealwireError) => events.push(error.code))
    stream.on("close", () => resolve(events)).resume()
  })

it("close() fails both sides of a stream that did not end in time", async () => {
  const peers = [{ name: "alice", publicKey: alice.publicKey }]
  const far: Array<ReturnType<typeof endOf>> = []
  const { address, close } = await listen(
    { address: "127.0.0.1:0", identity: server, peers },
    (stream) => far.push(endOf(stream))
  )
  const near = endOf(await connect({ address, identity: alice, serverKey: server.publicKey }))
  await close()
  expect([await near, ...(await Promise.all(far))]).toEqual([
    ["StreamTruncated"],
    ["StreamTruncated"]
  ])
}, 60_000)
