// A real keyring for the tests: gnome-keyring, unlocked, in a D-Bus session of its own, gone when the tests are over.
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import path from "node:path"
import { within } from "../cli/Sealwire.ts"

const isThere = (program: string): boolean =>
  spawnSync("/bin/sh", ["-c", `command -v ${program}`]).status === 0

const isInstalled = (name: string): boolean => {
  try {
    createRequire(import.meta.url).resolve(name)
    return true
  } catch {
    return false
  }
}

const needs = [
  ["apt-get install dbus", isThere("dbus-run-session") && isThere("dbus-send")],
  ["apt-get install gnome-keyring", isThere("gnome-keyring-daemon")],
  ["apt-get install libsecret-tools", isThere("secret-tool")],
  ["npm install @napi-rs/keyring", isInstalled("@napi-rs/keyring")]
] as const

/** What has to be done before there is a keyring to test with; undefined when nothing has. */
export const lacks: string | undefined = needs.find(([, there]) => !there)?.[0]

export interface Keyring {
  /** Where programs find it: the environment of the session. */
  readonly env: { readonly DBUS_SESSION_BUS_ADDRESS: string }
  /** Of the daemon. */
  readonly pid: number
  readonly close: () => Promise<void>
}

/**
 * The daemon says "ready" by taking its name on the bus. Nobody may ask for that name before: the bus would start another
 * daemon, which is locked, and whoever asked would wait for a person.
 */
const script = `
printf pw | gnome-keyring-daemon --foreground --unlock --components=secrets >/dev/null 2>&1 &
bus() { dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.$1 string:org.freedesktop.secrets; }
for i in $(seq 180); do
  bus NameHasOwner | grep -q "boolean true" && break
  sleep 0.05
done
echo "$DBUS_SESSION_BUS_ADDRESS $!"
cat
kill $!
`

export const start = async (): Promise<Keyring> => {
  const home = mkdtempSync(path.join(tmpdir(), "sealwire-keyring-"))
  mkdirSync(path.join(home, "run"), { mode: 0o700 })
  const session = spawn("dbus-run-session", ["--", "/bin/sh", "-c", script], {
    env: { PATH: process.env.PATH, HOME: home, XDG_RUNTIME_DIR: path.join(home, "run") },
    stdio: ["pipe", "pipe", "ignore"]
  })
  const exited = once(session, "exit")
  const [line] = (await within(once(session.stdout, "data"), "the address of the session")) as [
    Buffer
  ]
  const [address = "", pid = ""] = line.toString().trim().split(" ")
  return {
    env: { DBUS_SESSION_BUS_ADDRESS: address },
    pid: Number(pid),
    close: async () => {
      session.stdin.end()
      await within(exited, "the end of the session")
      rmSync(home, { recursive: true, force: true })
    }
  }
}

/** Puts something there as another program would. */
export const store = (
  { env }: Keyring,
  service: string,
  account: string,
  content: string
): void => {
  const { status, stderr } = spawnSync(
    "secret-tool",
    ["store", "--label=test", "service", service, "username", account],
    {
      env: { ...process.env, ...env },
      input: content
    }
  )
  if (status !== 0) throw new Error(`secret-tool: ${stderr.toString()}`)
}
