// Several servers behind one address: a client that loses one continues with another, and each
// message is stored once.
import { describe } from "vitest"
import * as Postgres from "../services/inbox/Postgres.ts"
import { expectEachOnce, keySetups } from "./Fleet.ts"
import { runs } from "../fixtures/sample.ts"
import { it } from "./Sealwire.ts"

describe.skipIf(!Postgres.available)(
  "two servers behind a balancer, killed during the delivery",
  () => {
    it.for(keySetups)(
      "with %s: each message is stored once, in order",
      async ([, hold], { box }) => {
        const database = await Postgres.schema()
        box.defer(database.drop)
        await expectEachOnce(box, hold, database, runs(1, 3), ({ killServer }) => killServer())
      }
    )
  }
)
