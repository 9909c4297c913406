// A server that is suspended (SIGSTOP): its kernel accepts connections, and nobody answers. Every
// command of a client ends with the exit code of the network, whatever it was doing.
import { randomBytes } from "node:crypto"
import { describe, expect } from "vitest"
import * as Code from "../../src/bytes/Code.ts"
import { Secret } from "../../src/bytes/Secret.ts"
import { it, type Box, type Server } from "../cli/Sealwire.ts"

const key = ["--key", "./shared.key"]

const serve = async (box: Box, listen: string): Promise<Server> => {
  box.useProcesses()
  expect((await box.run(["keygen", ...key])).code).toBe(0)
  box.write("file", randomBytes(64))
  const services = "--files . --inbox exec:cat --forward echo=127.0.0.1:9 --control ./c.sock"
  return box.listen(["serve", "--listen", listen, ...services.split(" "), ...key])
}

describe("a suspended server", () => {
  it.for([["127.0.0.1:0"], ["unix:./s.sock"]] as const)(
    "at %s is a failure of the network for each command",
    async ([listen], { box }) => {
      const server = await serve(box, listen)
      server.kill("SIGSTOP")
      const to = ["--to", server.address, ...key]
      const commands: ReadonlyArray<ReadonlyArray<string>> = [
        ["send", "hi", ...to],
        ["send", "--reply", "hi", ...to],
        ["push", "./file", "--as", "copy", ...to],
        ["pull", "file", "--into", ".", "--from", server.address, ...key],
        ["pipe", ...to],
        ["pair", "--yes", server.address],
        ["status", "./c.sock"]
      ]
      const ended = await Promise.all(
        commands.map(async (args) => {
          const { code, stderr } = await box.run(args, {
            stdin: args[0] === "pair" ? `${Code.encode(Secret.random(Code.length))}\n` : ""
          })
          return [args[0], code, stderr]
        })
      )
      for (const [name, code, stderr] of ended) {
        expect([name, code, stderr]).toEqual([name, 5, stderr])
        expect(stderr).toMatch(/did not answer|no longer responds/)
      }
      const tunnel = box.start(["tunnel", "--listen", "127.0.0.1:0", ...to])
      await tunnel.until("the retry", ({ stderr }) => stderr.includes("did not answer"), 20_000)
      await tunnel.until("the listener", ({ stderr }) => stderr.includes("forwarding"))
      tunnel.kill("SIGTERM")
      expect((await tunnel.ended()).code).toBe(0)
      server.kill("SIGCONT")
      expect((await box.run(["send", "hi", ...to])).code).toBe(0)
    }
  )
})
