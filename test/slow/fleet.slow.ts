// Several servers behind one address, for long: servers that are killed and connections to the database that are ended, in turn.
import { describe } from "vitest"
import { expectEachOnce, ways } from "../cli/Fleet.ts"
import { it } from "../cli/Sealwire.ts"
import * as Postgres from "../services/inbox/Postgres.ts"

describe.skipIf(!Postgres.available)("two servers behind a balancer, struck fifty times", () => {
  it.for(ways)(
    "with %s: each message is in the table once, in order",
    async ([, hold], { box }) => {
      const database = await Postgres.database()
      box.defer(database.drop)
      await expectEachOnce(box, hold, database, 50, ({ killServer, url }, nth) =>
        nth % 2 === 0 ? killServer() : Postgres.cutConnections(url)
      )
    }
  )
})
