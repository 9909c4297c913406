import { expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import { folder } from "../../../src/services/transfer/rules.ts"

it.each(["alice", "a/b", "..a", "a..", "a b", "größe", "..."])("%j is a folder", (path) =>
  expect(Either.getOrThrow(folder.decode(path))).toBe(path)
)

it.each([
  "",
  ".",
  "..",
  "../x",
  "a/..",
  "a/../b",
  "a/./b",
  "/a",
  "a/",
  "a//b",
  "a\\b",
  "a\nb",
  "a\u007f"
])("%j is none", (path) => expect(Either.isLeft(folder.decode(path))).toBe(true))
