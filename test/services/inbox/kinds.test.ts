// The list of inbox kinds: a new kind is one entry, and the command line knows it.
import { describe, expect, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { openForServing, openStore, withMessages } from "../../../src/cli/connection/InboxAt.ts"
import { Inbox, InboxMessages } from "../../../src/services/inbox/Inbox.ts"
import type { InboxKind, StoreKind } from "../../../src/services/inbox/InboxKind.ts"
import { EnvKind } from "../../../src/services/inbox/kinds/EnvKind.ts"
import { kindOf, kinds } from "../../../src/services/inbox/kinds/index.ts"

const flags = { execConcurrency: Option.none(), execTimeout: Option.none() }
const client = { peer: "alice", from: "127.0.0.1:1", publicKey: undefined, suite: "NNpsk0" }

/** Runs an effect while the list has one more kind. */
const withKind = <A, E>(kind: InboxKind, use: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.acquireUseRelease(
    Effect.sync(() => void (kinds as Array<InboxKind>).push(kind)),
    () => use,
    () => Effect.sync(() => void (kinds as Array<InboxKind>).pop())
  )

describe("the kinds of inboxes", () => {
  it("have different names and prefixes, and one of them has none", () => {
    expect(kinds.length).toBeGreaterThan(0)
    const prefixes = kinds.flatMap((kind) => kind.prefixes)
    expect(new Set(prefixes).size).toBe(prefixes.length)
    expect(new Set(kinds.map(({ name }) => name)).size).toBe(kinds.length)
    expect(kinds.filter((kind) => kind.prefixes.length === 0).map(({ name }) => name)).toEqual([
      "sqlite"
    ])
  })

  it.each([
    ["./inbox.db", "sqlite"],
    ["postgres.db", "sqlite"],
    ["postgres://host/db", "postgres"],
    ["postgresql://host/db", "postgres"],
    ["env:INBOX", "env"],
    ["exec:./handle.sh", "exec"]
  ])("%s is of kind %s", (reference, name) => {
    expect(kindOf(reference).name).toBe(name)
  })

  it.each([
    ["postgres://alice:secret@host/db", "no password in a reference"],
    ["postgres://alice@host/db?password=secret", "no password in a reference"],
    ["postgres://[", "not a valid URL"],
    ["exec: ", "exec: without a command"]
  ])("%s is invalid, and the reason does not repeat it", (reference, reason) => {
    const kind = kindOf(reference)
    expect(kind.check?.(reference)).toContain(reason)
    expect(kind.check?.(reference)).not.toContain("secret")
    const opened = kind.stores
      ? kind.open(reference, { create: true })
      : kind.open(reference, { onLine: () => Effect.void })
    expect(Either.isLeft(opened)).toBe(true)
  })

  it("a variable without a URL is named, and its value is not repeated", () => {
    vi.stubEnv("INBOX", "not-a-url")
    const opened = EnvKind.open("env:INBOX", { create: true })
    vi.unstubAllEnvs()
    expect(opened).toEqual(
      Either.left("the environment variable INBOX does not contain a postgres:// URL")
    )
  })

  it.effect("a planted kind is opened by serve and read by the inbox commands", () => {
    const opened: Array<readonly [string, boolean]> = []
    const planted: StoreKind = {
      name: "planted",
      prefixes: ["planted:"],
      form: "planted:NAME",
      stores: true,
      open: (reference, { create }) => {
        opened.push([reference, create])
        return Either.right(Inbox.layerMemory)
      }
    }
    return withKind(
      planted,
      Effect.gen(function* () {
        expect(kindOf("planted:box")).toBe(planted)
        const serving = yield* openForServing("planted:box", flags)
        yield* Effect.provide(
          Effect.flatMap(Inbox, (inbox) =>
            inbox.handle([{ id: Buffer.alloc(16), text: Buffer.from("text") }], client)
          ),
          serving
        )
        const depth = yield* withMessages(
          "planted:box",
          Effect.flatMap(InboxMessages, (messages) => messages.depth)
        )
        expect(depth.messages).toBe(0)
        expect(opened).toEqual([
          ["planted:box", true],
          ["planted:box", false]
        ])
      })
    )
  })

  it.effect("a kind that handles messages stores none", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(openStore("exec:cat", false))
      expect(JSON.stringify(error)).toContain("stores no messages")
    })
  )
})
