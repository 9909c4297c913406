// Several servers behind one address, over a long run: servers are killed and database connections cut in turn.
import { describe } from "vitest"
import { expectEachOnce, keySetups } from "../cli/Fleet.ts"
import { it } from "../cli/Sealwire.ts"
import * as Postgres from "../services/inbox/Postgres.ts"

describe.skipIf(!Postgres.available)("two servers behind a balancer, with fifty failures", () => {
  it.for(keySetups)("with %s, store each message once, in order", async ([, hold], { box }) => {
    const database = await Postgres.database()
    box.defer(database.drop)
    await expectEachOnce(box, hold, database, 50, ({ killServer, url }, nth) =>
      nth % 2 === 0 ? killServer() : Postgres.cutConnections(url)
    )
  })
})
