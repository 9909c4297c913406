// Every inbox that stores messages, for the tests of their contract, and senders to store them for.
import { randomBytes } from "node:crypto"
import path from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { generate } from "../../../src/keys/KeyPair.ts"
import { Inbox, type InboxMessages } from "../../../src/services/inbox/Inbox.ts"
import * as PostgresInbox from "../../../src/services/inbox/PostgresInbox.ts"
import * as SqliteInbox from "../../../src/services/inbox/SqliteInbox.ts"
import type { InboxRefused, InboxUnusable } from "../../../src/services/inbox/InboxErrors.ts"
import type { RemotePeer } from "../../../src/services/Service.ts"
import type { IncomingMessage } from "../../../src/services/messages/MessageHandler.ts"
import { SqlInbox } from "../../../src/services/inbox/sql/SqlInbox.ts"
import * as Postgres from "./Postgres.ts"
import { databases, schema } from "./sql/databases.ts"
import { scopedFolder } from "../../fixtures/folder.ts"

export { schema }

export const alice: RemotePeer = {
  peer: "alice",
  from: "127.0.0.1:4711",
  publicKey: generate().publicKey,
  suite: "IK"
}
export const bob: RemotePeer = { ...alice, peer: "bob", publicKey: generate().publicKey }

export const message = (
  text: string | Uint8Array,
  id: Uint8Array = randomBytes(16)
): IncomingMessage => ({
  id,
  text: Buffer.from(text)
})

export type Keeping = Layer.Layer<Inbox | InboxMessages, InboxUnusable | InboxRefused>

/** Layers that open the same inbox each time they are built. */
export const stores: ReadonlyArray<
  readonly [name: string, open: Effect.Effect<Keeping, never, Scope.Scope>]
> = [
  // The same inbox each time, because it is built once.
  ["memory", Effect.map(Layer.build(Inbox.layerMemory), Layer.succeedContext)],
  [
    "SQLite",
    Effect.map(scopedFolder, (folder) => SqliteInbox.layer(path.join(folder, "inbox.db")))
  ],
  ["PostgreSQL", Effect.map(schema, PostgresInbox.layer)],
  ...databases.map(
    ([name, database]) =>
      [
        `the application's ${name}`,
        Effect.map(database, (client) => Layer.provide(SqlInbox.layer, client))
      ] as const
  )
]

export const isMissing = (store: string) => store.endsWith("PostgreSQL") && !Postgres.available
