// A name server that never answers: commands end in time all the same, and say what is wrong.
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { describe, expect } from "vitest"
import { bin, it, type Box } from "./Sealwire.ts"

const canUnshare = spawnSync("unshare", ["--net", "--mount", "true"]).status === 0
const hasGetent = existsSync("/usr/bin/getent")

/** Starts the command where the only name server is silent, and getaddrinfo takes 80 s. */
const start = (box: Box, args: string) => {
  box.write("resolv.conf", "nameserver 127.0.0.1\noptions timeout:20 attempts:4\n")
  const silent = "require('dgram').createSocket('udp4').bind(53, '127.0.0.1')"
  const script = `
    ip link set lo up
    mount --bind ./resolv.conf /etc/resolv.conf
    "$0" -e "${silent}" & silent=$!
    sleep 0.5
    "$0" "$1" ${args} & command=$!
    trap 'kill -TERM $command' TERM
    wait $command; wait $command; code=$?
    kill $silent
    exit $code`
  const inside = ["--net", "--mount", "sh", "-c", script, process.execPath, bin]
  return box.startOther("unshare", inside)
}

const seconds = async <A>(run: Promise<A>): Promise<readonly [A, number]> => {
  const startedAt = performance.now()
  return [await run, (performance.now() - startedAt) / 1000]
}

describe.skipIf(!canUnshare || !hasGetent)("a name server that is silent", () => {
  it("send exits when it has said why", { timeout: 120_000 }, async ({ box }) => {
    await box.run(["keygen"])
    const line = "send hi --key ./sealwire.key --to server.example:1 --retry 0"
    const running = start(box, line)
    await running.until("the error", ({ stderr }) => stderr.includes("cannot connect"))
    const [{ code, stderr }, taken] = await seconds(running.ended())
    expect([code, stderr]).toEqual([
      5,
      expect.stringContaining("no name server answers; check the network and /etc/resolv.conf")
    ])
    expect(taken).toBeLessThan(3)
  })

  it.for([
    ["tunnel --listen 127.0.0.1:7001 --to server.example:1 --key ./sealwire.key", 0],
    ["serve --listen server.example:7002 --key ./sealwire.key", 0],
    ["send hi --to server.example:1 --key ./sealwire.key", 143]
  ] as const)("SIGTERM ends: %s", { timeout: 120_000 }, async ([line, expected], { box }) => {
    await box.run(["keygen"])
    const running = start(box, line)
    await new Promise((resolve) => setTimeout(resolve, 4000))
    running.kill("SIGTERM")
    const [{ code }, taken] = await seconds(running.ended())
    expect(code).toBe(expected)
    expect(taken).toBeLessThan(3)
  })
})
