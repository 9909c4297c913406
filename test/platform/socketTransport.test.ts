import * as vitest from "@effect/vitest"
import { describe } from "@effect/vitest"
import { transportLaws } from "../../src/testing/transportLaws.ts"
import { subjects } from "./socketSubjects.ts"

for (const [name, subject] of Object.entries(subjects))
  describe(name, () => transportLaws(vitest, subject))
