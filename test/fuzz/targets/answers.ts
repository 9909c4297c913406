// What the sender of a transfer reads: ANSWERS, DIGESTS, RECEIPTS, DONE, STOP.
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { AnswerReader } from "../../../src/services/transfer/AnswerReader.ts"
import type { SourceEntry } from "../../../src/services/transfer/SourceFile.ts"
import { Frames, frame, FrameType } from "../../../src/services/transfer/Frame.ts"
import * as Messages from "../../../src/services/transfer/Messages.ts"
import { SafePath } from "../../../src/services/transfer/SafePath.ts"
import { channelOf, cut } from "../channelOf.ts"
import { check, outcomeOf, type Target } from "../Target.ts"

const MiB = 1024 * 1024

const sources: ReadonlyArray<SourceEntry> = (
  [
    ["folder", 0],
    ["file", 0],
    ["file", 5],
    ["file", 17 * MiB],
    ["link", 0],
    ["file", 8 * MiB]
  ] as const
).map(([kind, size], index) => {
  const path = SafePath.root.localChild(`entry${index}`)
  const entry = { kind, path, size, mode: 0o644, mtime: 0 }
  return { entry, source: path } as unknown as SourceEntry
})

const answers = (...list: ReadonlyArray<Messages.Answer>): Buffer =>
  frame(FrameType.Answers, Messages.encodeAnswers(list))
const digests = (count: number): Buffer => frame(FrameType.Digests, Buffer.alloc(32 * count, 3))
const receipts = (...list: ReadonlyArray<Messages.Receipt>): Buffer =>
  frame(FrameType.Receipts, Messages.encodeReceipts(list))
const done = frame(FrameType.Done)

const run = (chunks: ReadonlyArray<Uint8Array>): Either.Either<ReadonlyArray<string>, Error> => {
  const channel = channelOf(chunks)
  const seen: Array<string> = []
  const reader = new AnswerReader({
    channel,
    frames: new Frames(channel),
    sources,
    dry: false,
    progress: {
      planned: () => Effect.void,
      leftOut: () => Effect.void,
      answered: (index, answer) => Effect.sync(() => seen.push(`answer ${index} ${answer}`)),
      transferred: () => {},
      reused: () => {},
      skipped: () => Effect.void,
      confirmed: (list) =>
        Effect.sync(() => {
          for (const { index, outcome, path } of list)
            seen.push(`receipt ${index} ${outcome} ${path?.text ?? ""}`)
        }),
      diskFailed: () => Effect.void
    }
  })
  reader.markEndSent()
  const result = Effect.runSync(Effect.either(reader.run))
  return Either.isLeft(result) ? Either.left(result.left) : Either.right(seen)
}

export const answerFrames: Target = {
  maxBytes: 1024,
  seeds: () => [
    Buffer.concat([
      answers("made", "want", "want"),
      digests(2),
      answers("have", "made"),
      digests(1),
      answers("compare"),
      receipts({ index: 0, outcome: "stored" }, { index: 1, outcome: "same" }),
      receipts({ index: 2, outcome: "renamed", path: SafePath.root.localChild("entry2 (1)") }),
      receipts({ index: 3, outcome: "damaged" }, { index: 4, outcome: "left" }),
      receipts({ index: 5, outcome: "same as", path: SafePath.root.localChild("other") }),
      done
    ]),
    Buffer.concat([answers("refused", "exists", "quota", "busy", "failed", "skipped"), done]),
    Buffer.concat([answers("made", "want"), digests(1), answers("differs")]),
    ...Messages.stopReasons.map((reason) => frame(FrameType.Stop, Messages.encodeStop(reason)))
  ],
  words: [done, answers("want"), digests(1), receipts({ index: 1, outcome: "stored" })],
  run: (input) => {
    const result = run([input])
    const inParts = run(cut(input, 11))
    if (Either.isLeft(result)) {
      check(Either.isLeft(inParts) && inParts.left.message === result.left.message, "cuts")
      return outcomeOf(result.left.message)
    }
    check(
      Either.isRight(inParts) && inParts.right.join() === result.right.join(),
      "the cuts of the stream changed the answers"
    )
    const what = result.right.map((each) => each.split(" ", 2).join(" "))
    check(new Set(what).size === what.length, "two answers or two receipts of one entry")
    return outcomeOf(result.right.map((each) => each.split(" ")[2]).join())
  }
}
