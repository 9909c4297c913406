// Options with numbers, dates and durations, and `--retry`.
import { quoted } from "../../bytes/excerpt.ts"
import * as Flag from "./Flag.ts"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { decodeBytes } from "../../peers/OptionSpec.ts"
import * as UtcDate from "../../keys/UtcDate.ts"
import type { Retry } from "../../services/Retry.ts"
import { optionError } from "./optionErrors.ts"

/** An integer from `min` to `max`. */
export const integer = (
  name: string,
  description: string,
  [min, max]: readonly [number, number] = [1, 1_000_000]
) =>
  Flag.text(name).pipe(
    Flag.withValue("N"),
    Flag.mapEffect((text) => {
      const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
      return value >= min && value <= max
        ? Effect.succeed(value)
        : optionError(name, `${quoted(text)} is not an integer from ${min} to ${max}`)
    }),
    Flag.withDescription(description)
  )

/** A size in bytes, as in authorized_peers. */
export const size = (name: string, description: string) =>
  Flag.text(name).pipe(
    Flag.withValue("SIZE"),
    Flag.mapEffect((text) =>
      Either.match(decodeBytes(text), {
        onLeft: () => optionError(name, `${quoted(text)} is not a size; write bytes: 500K, 10M`),
        onRight: Effect.succeed
      })
    ),
    Flag.withDescription(description)
  )

/** A date in UTC; its value is in milliseconds since 1970. */
export const date = (name: string, description: string) =>
  Flag.text(name).pipe(
    Flag.withValue("DATE"),
    Flag.mapEffect((text) => {
      const parsed = UtcDate.parse(text)
      return parsed === undefined ? optionError(name, UtcDate.syntax) : Effect.succeed(parsed)
    }),
    Flag.optional,
    Flag.withDescription(`${description}: 2027-01-01 (00:00) or 2027-01-01T12:00Z, in UTC.`)
  )

/** A duration such as 90s, 10m, 24h or 30d; a number without a unit is in seconds. */
export const duration = (name: string, description: string, minMillis = 1) =>
  Flag.text(name).pipe(
    Flag.withValue("TIME"),
    Flag.mapEffect((text) => {
      const [, count = "", unit = "s"] = /^(\d{1,6})([smhd])?$/.exec(text) ?? []
      const millis = Number(count) * (units[unit] ?? 0)
      return count === "" || millis < minMillis
        ? optionError(name, `${quoted(text)} is not a duration; write 90s, 10m, 24h or 30d`)
        : Effect.succeed(Duration.millis(millis))
    }),
    Flag.withDescription(description)
  )

const units: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

const defaultRetry = "30 seconds"

/** `--retry`. `resumption` is the clause that says what a new connection does with the work. */
export const retry = (resumption: string) =>
  duration(
    "retry",
    `Keep reconnecting for TIME after the last progress; ${resumption}. ` +
      "0: never. If given, also applies to the first connection.",
    0
  ).pipe(Flag.optional, Flag.withShownDefault(defaultRetry), Flag.withGroup("Connection"))

export const retryPolicy = (given: Option.Option<Duration.Duration>): Retry => ({
  deadline: Option.getOrElse(given, () => defaultRetry),
  isDefault: Option.isNone(given),
  includesFirstAttempt: Option.isSome(given)
})
