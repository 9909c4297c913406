import net from "node:net"
import { describe, expect, it } from "vitest"
import { connectToFirst } from "../../src/transports/ConnectAttempts.ts"
import { limits } from "../../src/transports/limits.ts"

/** Hosts that connect or fail after a time in milliseconds; `never` answers. */
const hosts: Readonly<Record<string, { readonly after: number; readonly code?: string }>> = {
  slow: { after: 3 * limits.connectAttemptMillis },
  quick: { after: 5 },
  refusing: { after: 5, code: "ECONNREFUSED" },
  unreachable: { after: 10, code: "EHOSTUNREACH" }
}

/** Connects; returns the host or the code of the error, the hosts tried, and what is still open. */
const connect = (...names: ReadonlyArray<string>) =>
  new Promise<{ result: string; tried: ReadonlyArray<string>; open: ReadonlyArray<string> }>(
    (resolve) => {
      const sockets = new Map<string, net.Socket>()
      const open = (host: string) => {
        const socket = new net.Socket()
        sockets.set(host, socket)
        const { after, code } = hosts[host] ?? {}
        if (after !== undefined)
          setTimeout(() => {
            if (socket.destroyed) return
            if (code === undefined) socket.emit("connect")
            else socket.destroy(Object.assign(new Error(code), { code }))
          }, after)
        return socket
      }
      const isOpen = ([, socket]: readonly [string, net.Socket]) => !socket.destroyed
      connectToFirst(names, open, (result) => {
        const name =
          result instanceof net.Socket
            ? [...sockets].find(([, socket]) => socket === result)?.[0]
            : result.code
        resolve({
          result: name ?? "?",
          tried: [...sockets.keys()],
          open: [...sockets].filter(isOpen).map(([host]) => host)
        })
      })
    }
  )

describe("connecting to a name", () => {
  it.each([
    ["a slow address before a dead one", ["slow", "never"], "slow", ["slow", "never"]],
    ["a dead address before a slow one", ["never", "slow"], "slow", ["never", "slow"]],
    ["a refusing address before a slow one", ["refusing", "slow"], "slow", ["refusing", "slow"]],
    ["a quick address: the others are not tried", ["quick", "never"], "quick", ["quick"]],
    ["the quickest wins", ["slow", "quick"], "quick", ["slow", "quick"]]
  ])("%s", async (_, names, result, tried) =>
    expect(await connect(...names)).toEqual({ result, tried, open: [result] })
  )

  it.each([
    ["a refusal, which shows that the host is there", ["refusing", "unreachable"], "ECONNREFUSED"],
    ["else the last error", ["unreachable"], "EHOSTUNREACH"],
    ["no address", [], "ENOTFOUND"]
  ])("fails with %s", async (_, names, result) =>
    expect(await connect(...names)).toEqual({ result, tried: names, open: [] })
  )

  it("destroys every socket when it is cancelled", async () => {
    const sockets: Array<net.Socket> = []
    const cancel = connectToFirst(
      ["a", "b"],
      () => {
        const socket = new net.Socket()
        sockets.push(socket)
        return socket
      },
      () => expect.unreachable()
    )
    await new Promise((done) => setTimeout(done, limits.connectAttemptMillis + 50))
    cancel()
    expect(sockets.map(({ destroyed }) => destroyed)).toEqual([true, true])
  })
})
