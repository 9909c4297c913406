// Adds peers to a file, one edit each: `addPeers.ts FILE FIRST COUNT`. Several run at once in the tests.
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as PeerEdits from "../../src/peers/PeerEdits.ts"
import * as PeerFiles from "../../src/peers/PeerFiles.ts"
import { formatAuthorized, parseAuthorized } from "../../src/peers/Peers.ts"
import { ruleOptions } from "../../src/services/builtin/index.ts"

const [file = "", first = "", count = ""] = process.argv.slice(2)

for (let index = Number(first); index < Number(first) + Number(count); index++) {
  const line = formatAuthorized(new Uint8Array(32).fill(index), `peer-${index}`)
  await Effect.runPromise(
    PeerFiles.edit(file, parseAuthorized(ruleOptions()), (text) =>
      Either.right({ text: PeerEdits.append(text, line), result: undefined })
    )
  )
}
