// The parts of the soak that judge: each must report what it is for, and nothing else.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { describe, expect, it, onTestFinished } from "vitest"
import { AccountBook } from "../../scripts/soak/AccountBook.ts"
import { Counters, leastPerMinute, type Counted } from "../../scripts/soak/Counters.ts"
import { digestOf, FileBook } from "../../scripts/soak/FileBook.ts"
import { judge, slopeOf, type Sample } from "../../scripts/soak/flatness.ts"
import { isWhole, keyIn, textOf } from "../../scripts/soak/messageText.ts"
import { parse } from "../../scripts/soak/Options.ts"
import { Random } from "../../scripts/soak/Random.ts"

describe("an account book of messages", () => {
  const book = () => {
    const made = new AccountBook()
    for (const key of ["a", "b", "c"]) made.offer(key)
    return made
  }

  it("reports an acknowledged message that is neither done nor pending", () => {
    const messages = book()
    messages.acknowledge(["a", "b"], 10)
    messages.acknowledge(["c"], 30)
    expect(messages.lost(new Set(["a"]), 20)).toEqual(["b"])
    expect(messages.lost(new Set(["a", "b"]), 20)).toEqual([])
    messages.take("b", "1")
    // A message that was taken under a lease is not done yet.
    expect(messages.lost(new Set(), 20)).toEqual(["a", "b"])
    messages.done(["b"])
    expect(messages.lost(new Set(), 40)).toEqual(["a", "c"])
    expect(messages).toMatchObject({ acknowledged: 3, taken: 1, accounted: 1 })
  })

  it("does not require a message that nobody acknowledged", () => {
    expect(book().lost(new Set(), 1)).toEqual([])
  })

  it("reports a message that is there twice, comes after it was done, or was never sent", () => {
    const messages = book()
    expect(messages.take("a", "1")).toBeUndefined()
    // A lease that expired.
    expect(messages.take("a", "1")).toBeUndefined()
    expect(messages.take("a", "2")).toContain("twice")
    messages.done(["a"])
    expect(messages.take("a", "1")).toContain("again")
    expect(messages.take("d", "3")).toContain("never sent")
    expect(messages.taken).toBe(1)
  })

  it("allows a killed consumer to have acknowledged or not what it printed", () => {
    const messages = book()
    messages.acknowledge(["a"], 1)
    messages.take("a", "1")
    messages.perhapsDone(["a"])
    expect(messages.lost(new Set(), 2)).toEqual([])
    expect(messages.take("a", "1")).toBeUndefined()
    messages.done(["a"])
    messages.perhapsDone(["a"])
    expect(messages.take("a", "1")).toContain("again")
  })

  it("refuses what the soak itself would do wrong", () => {
    expect(() => book().offer("a")).toThrow("twice")
    expect(() => book().acknowledge(["d"])).toThrow("not offered")
  })
})

describe("the text of a message", () => {
  it("shows every change", () => {
    const text = textOf("lines/3/7", 200)
    expect([keyIn(text), keyIn(text.slice(0, 40)), isWhole(text)]).toEqual([
      "lines/3/7",
      "lines/3/7",
      true
    ])
    for (const at of [0, 5, 10, 14, 100, text.length - 1])
      expect(isWhole(`${text.slice(0, at)}~${text.slice(at + 1)}`)).toBe(false)
    expect([isWhole(text.slice(0, -1)), isWhole(`${text}0`), isWhole("")]).toEqual([
      false,
      false,
      false
    ])
    expect(keyIn("no message")).toBeUndefined()
  })
})

describe("a book of files", () => {
  it("reports a file that differs or is gone", () => {
    const folder = mkdtempSync(path.join(tmpdir(), "sealwire-soak-"))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const book = new FileBook()
    for (const name of ["same", "other", "gone"]) book.stored(name, digestOf(Buffer.from(name)))
    writeFileSync(path.join(folder, "same"), "same")
    writeFileSync(path.join(folder, "other"), "othes")
    const [other, gone, ...rest] = book.checkAll(folder)
    expect([other?.startsWith("other has"), gone?.startsWith("gone is lost"), rest]).toEqual([
      true,
      true,
      []
    ])
    book.forget("other")
    book.forget("gone")
    expect(book.checkAll(folder)).toEqual([])
    expect(book.check(folder, "other")).toContain("not in the book")
  })
})

describe("flatness", () => {
  const bound = { base: 5, perHour: 0 }
  const series = (value: (index: number) => number): ReadonlyArray<Sample> =>
    Array.from({ length: 300 }, (_, index) => [index * 5000, value(index)])

  it("finds a leak below noise that is larger", () => {
    const random = new Random(7)
    const noise = Array.from({ length: 300 }, () => random.integer(-20, 20))
    const flat = judge(
      series((index) => 100 + (noise[index] ?? 0)),
      bound
    )
    const leak = judge(
      series((index) => 100 + (noise[index] ?? 0) + index / 10),
      bound
    )
    expect([flat.isFlat, leak.isFlat]).toEqual([true, false])
    expect(leak.growth).toBeGreaterThan(13)
    expect(leak.growth).toBeLessThan(27)
  })

  it("ignores the first third, and outliers", () => {
    const { isFlat, first, last, most } = judge(
      series((index) => (index < 90 ? index : index % 10 === 0 ? 900 : 90)),
      bound
    )
    expect([isFlat, first, last, most]).toEqual([true, 0, 90, 900])
  })

  it("computes the slope per hour from few samples", () => {
    expect(slopeOf([])).toBe(0)
    expect(slopeOf([[3, 4]])).toBe(0)
    expect(
      judge(
        series((index) => index),
        bound
      ).slope
    ).toBeCloseTo(720)
  })

  it("is not claimed for a series without samples", () => {
    expect(judge([], bound).isFlat).toBe(false)
    expect(judge(series(() => 1).slice(0, 2), bound).isFlat).toBe(false)
  })

  it("allows a slope that its bound allows", () => {
    const growing = series((index) => index / 10)
    expect(judge(growing, { base: 5, perHour: 60 }).isFlat).toBe(true)
    expect(judge(growing, { base: 5, perHour: 40 }).isFlat).toBe(false)
  })
})

describe("counters", () => {
  it("report every kind of which there was too little", () => {
    const kinds = (Object.keys(leastPerMinute) as Array<Counted>).filter(
      (kind) => leastPerMinute[kind] > 0
    )
    const counters = new Counters()
    expect(counters.missing(60).length).toBe(kinds.length)
    expect(counters.missing(1).length).toBeGreaterThan(5)
    for (const kind of kinds) counters.add(kind, Math.round(leastPerMinute[kind] * 60))
    expect(counters.missing(60)).toEqual([])
    expect(counters.missing(120).length).toBe(kinds.length)
  })
})

describe("a seed", () => {
  it("repeats every choice, and its forks differ", () => {
    const choices = (random: Random) => [
      random.integer(0, 1e9),
      random.bytes(8).toString("hex"),
      random.chance(0.5)
    ]
    expect(choices(new Random(5))).toEqual(choices(new Random(5)))
    expect(choices(new Random(5))).not.toEqual(choices(new Random(6)))
    expect(choices(new Random(5).fork("a"))).toEqual(choices(new Random(5).fork("a")))
    expect(choices(new Random(5).fork("a"))).not.toEqual(choices(new Random(5).fork("b")))
  })

  it("deals every item before one comes again", () => {
    const next = new Random(1).deck([1, 2, 3, 4])
    const dealt = Array.from({ length: 8 }, next)
    expect(dealt.slice(0, 4).toSorted()).toEqual([1, 2, 3, 4])
    expect(dealt.slice(4).toSorted()).toEqual([1, 2, 3, 4])
  })
})

describe("the arguments", () => {
  it("are hours, a seed, --json and a fault", () => {
    expect(parse(["0.02", "--seed", "7", "--json", "--plant", "lost"])).toEqual({
      hours: 0.02,
      seed: 7,
      json: true,
      plant: "lost"
    })
    expect(parse(["1"])).toMatchObject({ hours: 1, json: false, plant: undefined })
    for (const invalid of [[], ["x"], ["0"], ["1", "2"], ["1", "--plant"], ["1", "--seed", "x"]])
      expect(parse(invalid)).toBeUndefined()
  })
})
