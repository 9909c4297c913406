import { expect, it } from "@effect/vitest"
import { redactUrl } from "../../../src/services/inbox/redactUrl.ts"

it.each([
  ["postgres://user:secret@host:5432/db", "postgres://user@host:5432/db"],
  ["postgres://host/db?user=u&password=secret", "postgres://host/db"],
  ["postgres://user:secret@host/db?sslmode=require", "postgres://user@host/db"]
])("%s is shown as %s", (url, shown) => expect(redactUrl(new URL(url))).toBe(shown))
