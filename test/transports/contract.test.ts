// Runs the laws of a transport over every transport of subjects.ts.
import * as vitest from "@effect/vitest"
import { describe, expect, it } from "@effect/vitest"
import { transportLaws } from "../../src/testing/transportLaws.ts"
import { subjects } from "./subjects.ts"

it("there are transports to test", () =>
  expect(subjects.filter(({ here }) => here).length).toBeGreaterThanOrEqual(5))

for (const subject of subjects)
  describe.skipIf(!subject.here)(subject.name, () => transportLaws(vitest, subject))
