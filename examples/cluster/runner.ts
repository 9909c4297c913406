// A runner: node --import tsx runner.ts FOLDER NAME, with the database URL in DATABASE_URL.
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SecureCluster } from "sealwire/cluster"
import { layerAccounts } from "./Account.ts"
import { databaseAt, identityOf, layerNeeds, membersIn } from "./settings.ts"

const [folder = "", name = ""] = process.argv.slice(2)

const main = Effect.gen(function* () {
  const members = membersIn(folder)
  const identity = yield* identityOf(folder, name)
  const address = members.find((member) => member.name === name)?.address
  return layerAccounts(name).pipe(
    Layer.provide(SecureCluster.layer({ identity, members })),
    Layer.provide(layerNeeds(address)),
    Layer.provide(databaseAt(process.env.DATABASE_URL ?? ""))
  )
}).pipe(
  Layer.unwrapEffect,
  Layer.launch,
  Effect.tapError(({ message }) => Effect.sync(() => console.error(message)))
)

Effect.runPromise(main).catch(() => process.exit(1))
