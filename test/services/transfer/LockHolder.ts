// `LockHolder.ts FOLDER`: locks inode 8 of that folder, says "locked" or "busy", and waits.
import * as Effect from "effect/Effect"
import { lock } from "../../../src/services/transfer/PartialFileLock.ts"
import { SafeDirectories } from "../../../src/services/transfer/SafeDirectory.ts"

const directories = new SafeDirectories(process.argv[2] ?? "")
const unlock = await Effect.runPromise(lock(directories.root, { dev: 7, ino: 8 }))
console.log(unlock === undefined ? "busy" : "locked")
setInterval(() => {}, 1000)
