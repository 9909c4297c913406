// Two servers on one folder, of which one freezes while it writes a file: a push of the same file to
// the other is told soon, and ends when its user says.
import { randomBytes } from "node:crypto"
import { mkdirSync, readdirSync, statSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { expect } from "vitest"
import { eventsOf, it, within } from "./Sealwire.ts"

const MiB = 1024 * 1024

it("a push of a file that a frozen server writes says so, and ends after --retry", async ({
  box
}) => {
  mkdirSync(box.path("store"))
  box.write("file", randomBytes(24 * MiB))
  box.useProcesses()
  await box.run(["keygen"])
  const serve = () => box.listen(["serve", "--listen", "127.0.0.1:0", "--files", "./store"])
  const [one, two] = [await serve(), await serve()]
  const push = (address: string, ...more: ReadonlyArray<string>) =>
    box.start(["push", "file", "--to", address, "--json", ...more])
  const first = push(one.address, "--limit", "8M")
  const written = () =>
    readdirSync(box.path("store"))
      .filter((name) => name.startsWith("file"))
      .some((name) => statSync(box.path(`store/${name}`)).size >= 8 * MiB)
  await within(
    (async () => {
      while (!written()) await sleep(5)
    })(),
    "a part of the file"
  )
  one.kill("SIGSTOP")
  box.defer(() => one.kill("SIGKILL"))
  const startedAt = performance.now()
  const second = push(two.address, "--retry", "8s")
  await second.until(
    "the reason",
    ({ stdout }) =>
      eventsOf(stdout).some(
        ({ event, reason }) =>
          event === "retry-scheduled" &&
          String(reason).startsWith("file: another transfer of this file is in progress")
      ),
    8000
  )
  const ended = await second.ended()
  expect(ended.code).toBe(7)
  expect(ended.stderr).toContain("file: another transfer of this file is in progress")
  expect(performance.now() - startedAt).toBeLessThan(25_000)

  // By default it waits for longer, and continues when the other is gone.
  const third = push(two.address)
  await third.until("a retry", ({ stdout }) => stdout.includes("retry-scheduled"))
  one.kill("SIGKILL")
  first.kill("SIGKILL")
  const last = await third.ended()
  expect(last.code).toBe(0)
  expect(Number(eventsOf(last.stdout).at(-1)?.transferredBytes)).toBeLessThan(20 * MiB)
}, 90_000)
