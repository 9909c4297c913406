// The suites that test the package, the examples and the documents from outside take as long as all
// others. `npm test` runs them again only if a file that they cover has changed since they passed, and
// always where CI is set. Plain JavaScript on Node alone, like the script that uses it.
import { createHash } from "node:crypto"
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import path from "node:path"

const built = ["src", "package.json", "package-lock.json", "tsconfig.json", "scripts"]

/** Each suite with the files and folders that it covers. */
const suites = [
  {
    files: ["test/scripts/consumer.test.ts", "test/scripts/package.test.ts", "test/examples"],
    covers: [...built, "examples", "test/scripts", "test/examples", "README.md", "LICENSE"]
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

/**
 * Returns the test files that need not run again, and `passed`, to be called after a successful run
 * of all others.
 */
export const unchangedSuites = (root) => {
  const states = suites.map((suite) => ({
    ...suite,
    stamp: stampOf(root, suite),
    hash: hashOf(root, suite.covers)
  }))
  const skipped = process.env.CI ? [] : states.filter(({ stamp, hash }) => hasPassed(stamp, hash))
  return {
    files: skipped.flatMap(({ files }) => files),
    passed: () => {
      for (const { stamp, hash } of states) {
        mkdirSync(path.dirname(stamp), { recursive: true })
        writeFileSync(stamp, hash)
      }
    }
  }
}
