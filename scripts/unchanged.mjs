// The suites that test the package, the examples and the documents from outside take as long as all
// others. `npm test` leaves a suite out if no file that it covers has changed since it passed here, or
// if these files are those of the clone's upstream, which CI has tested. Where CI is set all run.
// Plain JavaScript on Node alone, like the script that uses it.
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import path from "node:path"

const built = ["src", "package.json", "package-lock.json", "tsconfig.json", "scripts"]
const examples = ["examples", "test/examples", "test/scripts", "test/services/inbox/Postgres.ts"]

/** Each suite with the files and folders that it covers. */
const suites = [
  {
    files: ["test/scripts/consumer.test.ts", "test/scripts/package.test.ts", "test/examples"],
    covers: [...built, ...examples, "README.md", "LICENSE"]
  },
  {
    files: ["test/docs/docs.test.ts"],
    covers: [...built, "docs", "test/docs", "README.md"]
  }
]

const filesOf = (root, name) => {
  const entry = path.join(root, name)
  const found = statSync(entry, { throwIfNoEntry: false })
  if (found?.isDirectory() !== true) return found === undefined ? [] : [name]
  return readdirSync(entry, { recursive: true, withFileTypes: true })
    .filter((file) => file.isFile() && !file.parentPath.includes("node_modules"))
    .map((file) => path.relative(root, path.join(file.parentPath, file.name)))
    .filter((file) => !file.startsWith(path.join("docs", "api")))
    .sort()
}

/** The hash of the content of these files, of Node's version, and of their names. */
const hashOf = (root, names) => {
  const hash = createHash("sha256").update(process.version)
  for (const file of names.flatMap((name) => filesOf(root, name)))
    hash.update(`\0${file}\0`).update(readFileSync(path.join(root, file)))
  return hash.digest("hex")
}

const stampOf = (root, { files }) =>
  path.join(root, "node_modules/.cache/sealwire-passed", files[0].replaceAll("/", "-"))

const hasPassed = (stamp, hash) => {
  try {
    return readFileSync(stamp, "utf8") === hash
  } catch {
    return false
  }
}

/** Runs git in `root`; returns its output, or undefined if it fails or is not installed. */
const git = (root, ...args) => {
  // A hook of git sets variables that name another repository, index or folder.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith("GIT_"))
  )
  const { status, stdout } = spawnSync("git", args, { cwd: root, env, encoding: "utf8" })
  return status === 0 ? stdout : undefined
}

const upstream = "refs/remotes/origin/HEAD"

/** Returns whether the files are those of the upstream: no commit, edit or new file differs. */
const isAsUpstream = (root, names) =>
  // The top of the repository: git compares nothing in a folder that an outer repository ignores.
  git(root, "rev-parse", "--show-prefix")?.trim() === "" &&
  git(root, "diff", "--quiet", "--no-ext-diff", upstream, "--", ...names) !== undefined &&
  git(root, "ls-files", "--others", "--exclude-standard", "--", ...names) === ""

/** The reason to leave a suite out; undefined if it must run. */
const reasonToLeaveOut = (root, { covers, stamp, hash }) => {
  if (process.env.CI) return
  if (hasPassed(stamp, hash)) return "nothing that they cover has changed since they passed here"
  if (isAsUpstream(root, covers))
    return "what they cover is as in origin/HEAD, which CI has tested (CI=true npm test runs them)"
}

/**
 * Returns the suites that need not run, each with its test files and the reason, and `passed`, to be
 * called after a successful run of all others.
 */
export const unchangedSuites = (root) => {
  const states = suites.map((suite) => {
    const state = { ...suite, stamp: stampOf(root, suite), hash: hashOf(root, suite.covers) }
    return { ...state, reason: reasonToLeaveOut(root, state) }
  })
  return {
    left: states.flatMap(({ files, reason }) => (reason === undefined ? [] : [{ files, reason }])),
    passed: () => {
      for (const { stamp, hash, reason } of states) {
        if (reason !== undefined) continue
        mkdirSync(path.dirname(stamp), { recursive: true })
        writeFileSync(stamp, hash)
      }
    }
  }
}
