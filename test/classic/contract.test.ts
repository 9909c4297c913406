// Runs one contract over every cipher in the list.
import * as vitest from "@effect/vitest"
import { describe, expect, it } from "@effect/vitest"
import { ciphers } from "../../src/classic/ciphers.ts"
import { cipherLaws } from "../../src/testing/cipherLaws.ts"

it("the list is not empty", () => expect(ciphers.length).toBeGreaterThan(0))

describe.each(ciphers)("$name", (kind) => cipherLaws(vitest, kind))
