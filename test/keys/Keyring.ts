// A real keyring for tests: an unlocked gnome-keyring in its own D-Bus session.
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import path from "node:path"
import { within } from "../cli/Sealwire.ts"

const isOnPath = (program: string): boolean =>
  spawnSync("/bin/sh", ["-c", `command -v ${program}`]).status === 0

const isInstalled = (name: string): boolean => {
  try {
    createRequire(import.meta.url).resolve(name)
    return true
  } catch {
    return false
  }
}

const requirements = [
  ["apt-get install dbus", isOnPath("dbus-run-session") && isOnPath("dbus-send")],
  ["apt-get install gnome-keyring", isOnPath("gnome-keyring-daemon")],
  ["apt-get install libsecret-tools", isOnPath("secret-tool")],
  ["npm install @napi-rs/keyring", isInstalled("@napi-rs/keyring")]
] as const

/** The command that installs the first missing requirement; undefined when none is missing. */
export const missingRequirement: string | undefined = requirements.find(([, isMet]) => !isMet)?.[0]

export interface Keyring {
  /** Environment variables of the session, by which programs find the keyring. */
  readonly env: { readonly DBUS_SESSION_BUS_ADDRESS: string }
  /** Process number of the daemon. */
  readonly pid: number
  readonly close: () => Promise<void>
}

/**
 * The daemon is ready when it owns its name on the bus. A client must not use the name earlier: the
 * bus would start another daemon, which is locked, and the client would wait for a person.
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

/** Stores an entry with another program. */
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
