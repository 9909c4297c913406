// Installs what the lockfile says when node_modules is missing or stale. Plain JavaScript on Node
// alone: it runs before anything is installed. Everything it prints goes to stderr.
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import path from "node:path"

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..")

const stamp = path.join(root, "node_modules", ".sealwire-setup")

const wanted = () =>
  createHash("sha256")
    .update(readFileSync(path.join(root, "package.json")))
    .update(readFileSync(path.join(root, "package-lock.json")))
    .update(process.version)
    .digest("hex")

/** Runs a command to its end, its output on stderr; exits with its code when it fails. */
const must = (command, args) => {
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
    console.error(`sealwire needs Node 20.19 or newer; this is ${process.version}`)
    process.exit(2)
  }
  if (isReady()) return
  locked(install)
}

const isReady = () => existsSync(stamp) && readFileSync(stamp, "utf8") === wanted()

const install = () => {
  if (isReady()) return
  console.error("sealwire: installing what package-lock.json names (once) …")
  must("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"])
  writeFileSync(stamp, wanted())
}

/** One at a time: of several that start at once, one installs and the others wait. */
const locked = (work) => {
  const lock = path.join(root, ".sealwire-setup.lock")
  for (;;) {
    try {
      mkdirSync(lock)
      break
    } catch (error) {
      if (error.code !== "EEXIST") throw error
      // One that was killed leaves its lock; nobody installs for ten minutes.
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

/** Runs a TypeScript file of scripts/ with tsx; resolves to its exit code. */
export const script = (file, args = [], options = {}) =>
  spawnSync(process.execPath, ["--import", "tsx", path.join(root, "scripts", file), ...args], {
    cwd: root,
    stdio: "inherit",
    ...options
  }).status ?? 1

if (process.argv[1] === fileURLToPath(import.meta.url)) setup()
