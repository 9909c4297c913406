// Runs the laws of a transport over every transport of subjects.ts.
import * as vitest from "@effect/vitest"
import { describe, expect, it } from "@effect/vitest"
import { sample, sampled } from "../fixtures/sample.ts"
import { transportLaws } from "../../src/testing/transportLaws.ts"
import { subjects } from "./subjects.ts"

it("there are transports to test", () =>
  expect(subjects.filter(({ here }) => here).length).toBeGreaterThanOrEqual(5))

// The first is over TCP, the last is cut into single bytes.
for (const subject of sample(subjects, 5))
  describe.skipIf(!subject.here)(sampled(subject.name), () => transportLaws(vitest, subject))
