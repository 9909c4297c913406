// Rotation of an identity: the order of steps, and recovery from a crash.
import {
  linkSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterAll, beforeEach, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Rotation from "../../src/keys/Rotation.ts"

let folder = ""
let file = ""
const folders: Array<string> = []
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "sealwire-rotation-"))
  folders.push(folder)
  file = path.join(folder, "id.key")
})
afterAll(() => {
  for (const each of folders) rmSync(each, { recursive: true })
})

const contents = () =>
  Object.fromEntries(
    readdirSync(folder).map((name) => [name, readFileSync(path.join(folder, name), "utf8")])
  )

/** Creates the files of each stage. */
const stages: Readonly<Record<Rotation.Stage, () => void>> = {
  "not begun": () => writeFileSync(file, "current"),
  begun: () => {
    writeFileSync(file, "current")
    writeFileSync(`${file}.next`, "next")
  },
  "half switched": () => {
    stages.begun()
    linkSync(file, `${file}.retiring`)
  },
  switched: () => {
    writeFileSync(file, "current")
    writeFileSync(`${file}.retiring`, "retiring")
  },
  "begun again": () => {
    stages.switched()
    writeFileSync(`${file}.next`, "next")
  }
}
const allStages = Object.keys(stages) as ReadonlyArray<Rotation.Stage>
const steps = {
  begin: (of: string) => Rotation.check(of, "begin"),
  switch: Rotation.switchOver,
  finish: Rotation.finish
} as const

describe.each(allStages)("%s", (stage) => {
  it.effect("is detected from the files", () =>
    Effect.gen(function* () {
      stages[stage]()
      expect(yield* Rotation.stageOf(file)).toBe(stage)
    })
  )

  it.effect("accepts its next step; any other step fails and changes nothing", () =>
    Effect.gen(function* () {
      stages[stage]()
      const before = contents()
      for (const [step, run] of Object.entries(steps))
        if (step !== Rotation.nextStep[stage]) {
          expect(yield* Effect.flip(run(file))).toMatchObject({
            _tag: "RotationOutOfTurn",
            stage,
            step
          })
          expect(contents()).toEqual(before)
        }
      yield* steps[Rotation.nextStep[stage]](file)
    })
  )
})

describe("the switch", () => {
  it.effect.each(["begun", "half switched"] as const)(
    "from %s keeps both keys and completes",
    (stage) =>
      Effect.gen(function* () {
        stages[stage]()
        yield* Rotation.switchOver(file)
        expect(contents()).toEqual({ "id.key": "next", "id.key.retiring": "current" })
        expect(yield* Rotation.stageOf(file)).toBe("switched")
        yield* Rotation.finish(file)
        expect(contents()).toEqual({ "id.key": "next" })
        expect(yield* Rotation.stageOf(file)).toBe("not begun")
      })
  )

  it.effect("of a symbolic link is rejected: the key itself would stay in place", () =>
    Effect.gen(function* () {
      writeFileSync(path.join(folder, "real"), "current")
      symlinkSync("real", file)
      writeFileSync(`${file}.next`, "next")
      const before = contents()
      expect(yield* Effect.flip(Rotation.switchOver(file))).toMatchObject({
        _tag: "RotationFailed"
      })
      expect(contents()).toEqual(before)
    })
  )
})
