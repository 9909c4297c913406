// The package as npm publishes it, in a folder outside the repository with only its peers and the
// tools.
import { execFileSync, spawn } from "node:child_process"
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"

export const root = path.resolve(import.meta.dirname, "../..")

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>
  readonly optionalDependencies: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional?: boolean }>>
  readonly bin: { readonly sealwire: string }
}

export interface Packed {
  /** The folder of a program that has installed the package, with the examples. */
  readonly folder: string
  readonly tarball: string
  /** package.json of the tarball. */
  readonly manifest: Manifest
  readonly remove: () => void
}

/** The tools that run and compile the examples. */
const tools = ["tsx", "typescript", "vitest"]

/** Builds if necessary, then packs. */
export const pack = (): Packed => {
  const folder = mkdtempSync(path.join(tmpdir(), "sealwire-packed-"))
  const modules = path.join(folder, "node_modules")
  mkdirSync(modules)
  execFileSync(process.execPath, ["scripts/run.mjs", "build.ts", "--if-stale"], { cwd: root })
  const packed = execFileSync(
    "npm",
    ["pack", "--json", "--ignore-scripts", "--pack-destination", folder],
    {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"]
    }
  )
  const [{ filename }] = JSON.parse(packed) as [{ readonly filename: string }]
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
