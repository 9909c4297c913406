// Installs the packages of the lockfile if node_modules is missing or stale. Plain JavaScript on
// Node alone, because it runs before anything is installed. Writes only to stderr.
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import path from "node:path"

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..")

const stamp = path.join(root, "node_modules", ".sealwire-setup")

const expectedStamp = () =>
  createHash("sha256")
    .update(readFileSync(path.join(root, "package.json")))
    .update(readFileSync(path.join(root, "package-lock.json")))
    .update(process.version)
    .digest("hex")

/** Runs a command with its output on stderr; exits with its code if it fails. */
const runOrExit = (command, args) => {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ["ignore", 2, 2] })
  if (status === 0) return
  console.error(
    `sealwire setup: ${command} ${args.join(" ")} failed${error ? `: ${error.message}` : ""}`
  )
  process.exit(status ?? 1)
}

export const setup = () => {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
  if (major < 20 || (major === 20 && minor < 19)) {
    console.error(`sealwire needs Node 20.19 or later; this is ${process.version}`)
    process.exit(2)
  }
  if (isReady()) return
  withLock(install)
}

const isReady = () => existsSync(stamp) && readFileSync(stamp, "utf8") === expectedStamp()

const install = () => {
  if (isReady()) return
  console.error("sealwire: installing the packages of package-lock.json (once) …")
  // No package needs a script to install. (.npmrc cannot say so: then `npm pack` would not build.)
  runOrExit("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
  writeFileSync(stamp, expectedStamp())
}

/** Serializes concurrent setups: one installs, the others wait. */
const withLock = (work) => {
  const lock = path.join(root, ".sealwire-setup.lock")
  for (;;) {
    try {
      mkdirSync(lock)
      break
    } catch (error) {
      if (error.code !== "EEXIST") throw error
      // A killed setup leaves its lock behind; no installation takes ten minutes.
      const age = Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now())
      if (age > 600_000) rmdirSync(lock)
      else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
    }
  }
  const unlock = () => {
    try {
      rmdirSync(lock)
    } catch {}
  }
  process.once("exit", unlock)
  work()
  unlock()
  process.off("exit", unlock)
}

/** Runs a TypeScript file of scripts/ with tsx; returns its exit code. */
export const script = (file, args = [], options = {}) =>
  spawnSync(process.execPath, ["--import", "tsx", path.join(root, "scripts", file), ...args], {
    cwd: root,
    stdio: "inherit",
    ...options
  }).status ?? 1

if (process.argv[1] === fileURLToPath(import.meta.url)) setup()
