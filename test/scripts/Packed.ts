// The package as npm publishes it, in a folder outside the repository with only its peers and the
// tools.
import { execFile, execFileSync, spawn } from "node:child_process"
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { promisify } from "node:util"

export const root = path.resolve(import.meta.dirname, "../..")

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional?: boolean }>>
  readonly bin: { readonly sealwire: string }
  readonly exports: Readonly<Record<string, unknown>>
}

export interface Packed {
  /** The folder of a program that has installed the package, with the examples. */
  readonly folder: string
  readonly tarball: string
  /** package.json of the tarball. */
  readonly manifest: Manifest
  readonly remove: () => void
}

/** The tools that run and compile the examples, and packages that some of them use. */
const tools = ["tsx", "typescript", "vitest", "@effect/platform-node"]

/** Copies what a clone has: no dist/, but the installed packages, which take a while. */
const makeClone = (): string => {
  const clone = mkdtempSync(path.join(tmpdir(), "sealwire-clone-"))
  const files = execFileSync("git", ["ls-files", "-z", "-co", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8"
  })
  for (const file of files.split("\0"))
    if (file !== "" && existsSync(path.join(root, file)))
      cpSync(path.join(root, file), path.join(clone, file))
  symlinkSync(path.join(root, "node_modules"), path.join(clone, "node_modules"))
  return clone
}

/** Packs from a clean clone as a maintainer does, with nothing built before. */
export const pack = async (): Promise<Packed> => {
  const folder = mkdtempSync(path.join(tmpdir(), "sealwire-packed-"))
  const modules = path.join(folder, "node_modules")
  mkdirSync(modules)
  const clone = makeClone()
  // Not synchronously: it takes so long that the tests' parent process would give up.
  await promisify(execFile)("npm", ["pack", "--pack-destination", folder], { cwd: clone })
  rmSync(clone, { recursive: true })
  const filename = readdirSync(folder).find((name) => name.endsWith(".tgz")) ?? "no tarball"
  const tarball = path.join(folder, filename)
  mkdirSync(path.join(modules, "sealwire"))
  execFileSync("tar", [
    "-xzf",
    tarball,
    "--strip-components=1",
    "-C",
    path.join(modules, "sealwire")
  ])
  const manifest = JSON.parse(
    readFileSync(path.join(modules, "sealwire/package.json"), "utf8")
  ) as Manifest
  for (const name of [
    ...Object.keys(manifest.dependencies),
    ...Object.keys(manifest.peerDependencies),
    ...tools
  ]) {
    mkdirSync(path.dirname(path.join(modules, name)), { recursive: true })
    symlinkSync(path.join(root, "node_modules", name), path.join(modules, name))
  }
  writeFileSync(
    path.join(folder, "package.json"),
    JSON.stringify({ type: "module", private: true })
  )
  const filter = (source: string) => path.basename(source) !== "node_modules"
  cpSync(path.join(root, "examples"), path.join(folder, "examples"), { recursive: true, filter })
  return {
    folder,
    tarball,
    manifest,
    remove: () => rmSync(folder, { recursive: true, force: true })
  }
}

/** Runs Node in the folder; returns the exit code and the output. */
export const node = async (
  { folder }: Packed,
  args: ReadonlyArray<string>,
  deadlineMillis = 120_000
) => {
  const child = spawn(process.execPath, args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] })
  let output = ""
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (output += text))
  const deadline = setTimeout(() => child.kill("SIGTERM"), deadlineMillis)
  const code = await new Promise<number | null>((done) => child.once("close", done))
  clearTimeout(deadline)
  return { code, output }
}
