// What commands that Sealwire runs can see: nothing from which it read a secret.
import { closeSync, openSync } from "node:fs"
import { describe, expect } from "vitest"
import { it, linesOf, type Box } from "./Sealwire.ts"

/** Starts a server whose handler prints its environment and its descriptors, and sends to it. */
const seenByHandler = async (
  box: Box,
  key: string,
  env: Readonly<Record<string, string>>,
  fds: ReadonlyArray<number> = []
): Promise<string> => {
  box.useProcesses("serve")
  // Descriptors above 15 are inherited: libuv closes only those below.
  const stdio: Array<"ignore" | "pipe" | number> = Array.from({ length: 20 }, (_, fd) =>
    fd === 1 || fd === 2 ? "pipe" : "ignore"
  )
  const server = await box.listen(
    [
      "serve",
      "--listen",
      "unix:./s",
      "--key",
      key,
      "--inbox",
      "exec:env; for fd in /proc/self/fd/*; do readlink -f $fd; done; echo complete"
    ],
    { env, stdio: [...stdio, ...fds] }
  )
  expect((await box.run(["send", "--to", "unix:./s", "--key", "./sealwire.key", "x"])).code).toBe(0)
  await server.until("the handler's output", ({ stderr }) =>
    linesOf(stderr).some((line) => line.endsWith("complete"))
  )
  return server.stderr.toString()
}

describe("a command for messages does not see", () => {
  it("the variable of a key, nor that of a passphrase", async ({ box }) => {
    expect((await box.run(["keygen"])).code).toBe(0)
    const text = box.read("sealwire.key").toString().trim().split("\n").at(-1) ?? ""
    const seen = await seenByHandler(box, "env:TEAM_KEY", {
      TEAM_KEY: text,
      SEALWIRE_PASSPHRASE: "correct horse",
      OTHER: "is seen"
    })
    expect(seen).toContain("OTHER=is seen")
    expect(seen).not.toContain("TEAM_KEY")
    expect(seen).not.toContain(text)
    expect(seen).not.toContain("correct horse")
  })

  it("the folder of systemd's credentials", async ({ box }) => {
    expect((await box.run(["keygen"])).code).toBe(0)
    const seen = await seenByHandler(box, "cred:sealwire.key", {
      CREDENTIALS_DIRECTORY: box.path("")
    })
    expect(seen).not.toContain("CREDENTIALS_DIRECTORY")
  })

  it.for(["fd:20", "/dev/fd/20", "/proc/self/fd/20"])(
    "the descriptor of the key %s",
    async (key, { box }) => {
      expect((await box.run(["keygen"])).code).toBe(0)
      const fd = openSync(box.path("sealwire.key"), "r")
      box.defer(() => closeSync(fd))
      const seen = await seenByHandler(box, key, {}, [fd])
      expect(seen).toContain("complete")
      expect(seen).not.toContain(box.path("sealwire.key"))
    }
  )
})

describe("a command for a key does not see", () => {
  /** Starts a server whose first key comes from a command that tells what it sees. */
  const seenByKeyCommand = async (
    box: Box,
    args: ReadonlyArray<string>,
    env: Readonly<Record<string, string>>,
    inherited: string
  ): Promise<string> => {
    box.useProcesses("serve")
    for (const name of ["first", "second"])
      expect((await box.run(["keygen", "-o", `./${name}.key`])).code).toBe(0)
    const fd = openSync(box.path(inherited), "r")
    box.defer(() => closeSync(fd))
    const tells = "exec:env >seen; readlink -f /proc/self/fd/* >>seen; cat ./first.key"
    await box.listen(["serve", "--listen", "unix:./s", "--key", `a=${tells}`, ...args], {
      env,
      stdio: [
        ...Array.from({ length: 20 }, (_, index) =>
          index === 1 || index === 2 ? ("pipe" as const) : ("ignore" as const)
        ),
        fd
      ]
    })
    return box.read("seen").toString()
  }

  it.for(["fd:20", "/dev/fd/20", "//dev/./fd/20"])(
    "the descriptor of a key that is read later: %s",
    async (key, { box }) => {
      const seen = await seenByKeyCommand(box, ["--key", `b=${key}`], {}, "second.key")
      expect(seen).toContain("HOME=")
      expect(seen).not.toContain("second.key")
    }
  )

  it("the variable of a key that is read later, nor the descriptor of a passphrase that is not needed", async ({
    box
  }) => {
    expect((await box.run(["keygen"])).code).toBe(0)
    box.write("passphrase", "correct horse")
    const text = box.read("sealwire.key").toString().trim().split("\n").at(-1) ?? ""
    const seen = await seenByKeyCommand(
      box,
      ["--key", "b=env:LATER", "--passphrase-fd", "20"],
      { LATER: text },
      "passphrase"
    )
    expect(seen).not.toContain(text)
    expect(seen).not.toContain("passphrase")
  })
})
