// A worker of an inbox: one message that fails does not stop the others, order, leases, outages.
// One contract for every inbox that stores messages.
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { InboxMessages, Inbox } from "../../../src/services/inbox/Inbox.ts"
import { InboxRefused } from "../../../src/services/inbox/InboxErrors.ts"
import { HandlingFailed, type Verdict } from "../../../src/services/inbox/Redelivery.ts"
import type { StoredMessage, StoredMessages } from "../../../src/services/inbox/StoredMessage.ts"
import * as Worker from "../../../src/services/inbox/Worker.ts"
import type { RemotePeer } from "../../../src/services/Service.ts"
import { pause, waitUntil, withTimeout } from "../../../src/testing/steps.ts"
import { alice, bob, isMissing, message, stores } from "./stores.ts"

const store = (texts: ReadonlyArray<string>, sender: RemotePeer = alice) =>
  Effect.flatMap(Inbox, (inbox) =>
    inbox.handle(
      texts.map((text) => message(text)),
      sender
    )
  )
const textOf = ({ text }: Pick<StoredMessage, "text">) => Buffer.from(text).toString()
const failed = (verdict: Verdict = "failed", reason = "no luck") =>
  new HandlingFailed({ reason, verdict })
const pending = Effect.flatMap(InboxMessages, (messages) =>
  Effect.map(messages.list({ limit: 99, textBytes: 99 }), (found) => found.map(textOf))
)
const deadLetters = Effect.flatMap(InboxMessages, (messages) =>
  Effect.map(messages.list({ limit: 99, textBytes: 99, dead: true }), (found) =>
    found.map((stored) => [textOf(stored), stored.error])
  )
)

/** Records the texts that a handler gets, and the events of its worker. */
const recorder = () => {
  const texts: Array<string> = []
  const events: Array<string> = []
  const on = (event: Worker.WorkEvent) =>
    Effect.sync(
      () =>
        void events.push(
          event._tag === "Unavailable" ? event._tag : `${event._tag} ${textOf(event.message)}`
        )
    )
  const record = (stored: StoredMessage) => {
    texts.push(textOf(stored))
    return textOf(stored)
  }
  return { texts, events, on, record }
}

describe.each(stores)("a worker of %s", (kind, open) => {
  const test = (name: string, body: Effect.Effect<unknown, unknown, Inbox | InboxMessages>) =>
    it.live.skipIf(isMissing(kind))(name, () =>
      Effect.scoped(Effect.flatMap(open, (layer) => Effect.provide(body, layer)))
    )

  test(
    "goes on after messages that fail, die, or are dead at once, and keeps their errors",
    Effect.gen(function* () {
      const { texts, events, on, record } = recorder()
      yield* store(["poison", "defect", "dead", "good", "later"])
      const ends: Readonly<Record<string, Effect.Effect<void, HandlingFailed>>> = {
        poison: failed(),
        defect: Effect.dieMessage("undefined is not a function"),
        later: failed("later", "the printer is off"),
        dead: failed("dead", "no such customer")
      }
      const handle = (stored: StoredMessage) => ends[record(stored)] ?? Effect.void
      // On a busy machine the pause of the last one may be over at once.
      yield* Inbox.work(handle, { on, attempts: 1, count: 5 })
      expect(texts).toEqual(["poison", "defect", "dead", "good", "later"])
      expect(events).toEqual([
        "Dead poison",
        "Dead defect",
        "Dead dead",
        "Handled good",
        "Deferred later"
      ])
      expect(yield* pending).toEqual(["later"])
      expect(yield* deadLetters).toEqual([
        ["poison", "no luck"],
        ["defect", "the handler died: undefined is not a function"],
        ["dead", "no such customer"]
      ])
    })
  )

  test(
    "tries a message again after a pause, up to the maximum, and handles others meanwhile",
    Effect.gen(function* () {
      const { texts, events, on, record } = recorder()
      yield* store(["poison", "good"])
      const working = yield* Effect.fork(
        Inbox.work((stored) => (record(stored) === "poison" ? failed() : Effect.void), {
          on,
          attempts: 2,
          wait: true
        })
      )
      yield* waitUntil("both ends", () => events.length === 3)
      yield* Fiber.interrupt(working)
      expect(texts.toSorted()).toEqual(["good", "poison", "poison"])
      // On a busy machine the pause may be over before the other message is leased.
      expect(events[0]).toBe("Deferred poison")
      expect(events.toSorted()).toEqual(["Dead poison", "Deferred poison", "Handled good"])
    })
  )

  test(
    "buries a message that has killed its consumers, without running the handler",
    Effect.gen(function* () {
      const messages = yield* InboxMessages
      const { texts, events, on, record } = recorder()
      yield* store(["killer", "good"])
      for (let attempt = 0; attempt < 3; attempt++)
        yield* messages.lease({ count: 1, millis: 0, order: "none" })
      yield* Inbox.work((stored) => Effect.sync(() => record(stored)), { on, attempts: 3 })
      expect(texts).toEqual(["good"])
      expect(events).toEqual(["Dead killer", "Handled good"])
      expect((yield* deadLetters)[0]?.[1]).toContain("3 attempts did not end within its lease")
    })
  )

  test(
    "handles several at a time, and of one peer one at a time and in order",
    Effect.gen(function* () {
      const expected: Record<string, ReadonlyArray<string>> = { a: [], b: [] }
      for (const [name, sender] of [
        ["a", alice],
        ["b", bob]
      ] as const) {
        expected[name] = Array.from({ length: 6 }, (_, index) => `${name}${index}`)
        yield* store(expected[name], sender)
      }
      const { texts, record } = recorder()
      const running = new Set<string>()
      let most = 0
      yield* Inbox.work(
        (stored) =>
          Effect.gen(function* () {
            const [peer = ""] = record(stored)
            expect([textOf(stored), running.has(peer)]).toEqual([textOf(stored), false])
            running.add(peer)
            most = Math.max(most, running.size)
            yield* pause(20)
            running.delete(peer)
          }),
        { concurrency: 4 }
      )
      expect(most).toBe(2)
      for (const [name, inOrder] of Object.entries(expected))
        expect(texts.filter((text) => text.startsWith(name))).toEqual(inOrder)
    })
  )

  test(
    "renews a lease while the handler runs, and stops a handler whose lease is lost",
    Effect.gen(function* () {
      const messages = yield* InboxMessages
      const { events, on } = recorder()
      yield* store(["slow"])
      const release = yield* Deferred.make<void>()
      const started = yield* Deferred.make<StoredMessage>()
      const working = yield* Effect.fork(
        Inbox.work(
          (stored) => Effect.zipRight(Deferred.succeed(started, stored), Deferred.await(release)),
          { on, lease: 300 }
        )
      )
      const stored = yield* Deferred.await(started)
      // Twice as long as the lease: without a renewal another consumer would get the message.
      for (const until = performance.now() + 600; performance.now() < until; yield* pause(20))
        expect(yield* messages.lease({ count: 1, millis: 1 })).toEqual([])
      yield* messages.acknowledge([stored.sequence])
      yield* withTimeout("the end of the handler", Fiber.join(working))
      expect(events).toEqual(["LeaseLost slow"])
    })
  )

  test(
    "releases the messages of handlers that are interrupted, and counts no attempt",
    Effect.gen(function* () {
      yield* store(["one"])
      const started = yield* Deferred.make<void>()
      const working = yield* Effect.fork(
        Inbox.work(() => Effect.zipRight(Deferred.succeed(started, undefined), Effect.never), {})
      )
      yield* Deferred.await(started)
      yield* Fiber.interrupt(working)
      const again = yield* Stream.runHead(Inbox.consume())
      expect(again).toMatchObject({ _tag: "Some", value: { attempts: 2, uncounted: 1 } })
    })
  )

  test(
    "has a twin in the stream: fail defers or buries, and renew keeps the lease",
    Effect.gen(function* () {
      yield* store(["later", "dead"])
      const seen: Array<string> = []
      yield* Stream.runForEach(Inbox.consume({ attempts: 2 }), (leased) =>
        Effect.gen(function* () {
          expect(yield* leased.renew).toBe(true)
          const verdict = textOf(leased) === "dead" ? "dead" : "failed"
          const { _tag } = yield* leased.fail({ reason: "no luck", verdict })
          seen.push(`${textOf(leased)} ${_tag}`)
        })
      )
      expect(seen).toEqual(["later Deferred", "dead Dead"])
      expect(yield* deadLetters).toEqual([["dead", "no luck"]])
    })
  )
})

describe("an inbox that is away for a moment", () => {
  /** An inbox whose next operations fail. */
  const failing = (messages: StoredMessages) => {
    const faults: Partial<Record<keyof StoredMessages, Array<InboxRefused>>> = {}
    const withFault =
      <A extends ReadonlyArray<unknown>, B>(
        name: keyof StoredMessages,
        operation: (...args: A) => Effect.Effect<B, InboxRefused>
      ) =>
      (...args: A) =>
        Effect.suspend(() => faults[name]?.shift() ?? operation(...args))
    return {
      faults,
      messages: {
        ...messages,
        lease: withFault("lease", messages.lease),
        acknowledge: withFault("acknowledge", messages.acknowledge),
        defer: withFault("defer", messages.defer)
      }
    }
  }
  const away = new InboxRefused({ reason: "the database is unreachable", retry: true })
  const gone = new InboxRefused({ reason: "its file was moved", retry: true, isGone: true })
  const refused = new InboxRefused({ reason: "permission denied", retry: false })

  const withFailing = <A, E>(
    use: (inbox: ReturnType<typeof failing>) => Effect.Effect<A, E, Inbox | InboxMessages>
  ) =>
    Effect.provide(
      Effect.flatMap(InboxMessages, (messages) => use(failing(messages))),
      Inbox.layerMemory
    )

  it.live("keeps a waiting worker, which says so, and handles no message twice", () =>
    withFailing(({ faults, messages }) =>
      Effect.gen(function* () {
        const { texts, events, on, record } = recorder()
        faults.lease = [away, away]
        faults.acknowledge = [away]
        yield* store(["one", "two"])
        const working = yield* Effect.fork(
          Worker.work(messages, (stored) => Effect.sync(() => record(stored)), { on, wait: true })
        )
        yield* waitUntil("both messages", () => events.includes("Handled two"))
        yield* Fiber.interrupt(working)
        expect(texts).toEqual(["one", "two"])
        expect(events).toEqual(["Unavailable", "Unavailable", "Handled one", "Handled two"])
      })
    )
  )

  it.live.each([
    ["at once when it does not wait", false, away],
    ["when its file is another", true, gone],
    ["when it refuses for ever", true, refused]
  ] as const)("ends a worker %s", ([, wait, fault]) =>
    withFailing(({ faults, messages }) =>
      Effect.gen(function* () {
        faults.lease = [fault]
        yield* store(["one"])
        const work = Worker.work(messages, () => Effect.void, { wait })
        expect(yield* withTimeout("the end", Effect.flip(work))).toBe(fault)
        expect(yield* pending).toEqual(["one"])
      })
    )
  )

  it.live("ends a worker that can never store what it did", () =>
    withFailing(({ faults, messages }) =>
      Effect.gen(function* () {
        faults.acknowledge = [refused]
        yield* store(["one", "two"])
        const work = Worker.work(messages, () => Effect.void, { wait: true })
        expect(yield* withTimeout("the end", Effect.flip(work))).toBe(refused)
      })
    )
  )
})
