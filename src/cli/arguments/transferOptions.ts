// The options that push and pull share, and what is made of them.
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Printable from "../../bytes/Printable.ts"
import { linkPolicies, type LinkPolicy, type Policy } from "../../services/transfer/Messages.ts"
import * as shared from "./options.ts"

const units: Readonly<Record<string, number>> = { "": 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 }

export const options = {
  dryRun: Options.boolean("dry-run").pipe(
    Options.withDescription("Says what would travel, and changes nothing.")
  ),
  overwrite: Options.boolean("overwrite").pipe(
    Options.withDescription("A file goes in the place of another that has its name.")
  ),
  rename: Options.boolean("rename").pipe(
    Options.withDescription("A file whose name is taken gets another: report (1).txt.")
  ),
  skip: Options.boolean("skip").pipe(
    Options.withDescription(
      "A file whose name is taken is left out. Without any of these three it is refused."
    )
  ),
  symlinks: Options.text("symlinks").pipe(
    Options.withPseudoName("WORD"),
    Options.mapEffect(
      (word): Effect.Effect<LinkPolicy, never> | ReturnType<typeof shared.optionError> => {
        const found = linkPolicies.find((policy) => policy === word)
        return found === undefined
          ? shared.optionError(
              "symlinks",
              `"${Printable.line(word)}" is none of ${linkPolicies.join(", ")}`
            )
          : Effect.succeed(found)
      }
    ),
    Options.withDefault("skip" as LinkPolicy),
    Options.withDescription(
      "Symbolic links: skip (with a line), follow (what they lead to is sent), keep (as links, where they stay inside). Default: skip."
    )
  ),
  limit: Options.text("limit").pipe(
    Options.withPseudoName("RATE"),
    Options.mapEffect((text) => {
      const [, digits = "", unit = ""] = /^(\d{1,9})([KMG]?)$/.exec(text) ?? []
      const rate = Number(digits) * (units[unit] ?? 0)
      return rate > 0
        ? Effect.succeed(rate)
        : shared.optionError(
            "limit",
            `"${Printable.line(text)}" is no rate; write bytes a second: 500K, 10M`
          )
    }),
    Options.optional,
    Options.withDescription("At most so many bytes a second: 500K, 10M.")
  ),
  retry: shared.retry("what is there already does not travel again"),
  padding: shared.padding,
  json: shared.json
}

export interface PolicyFlags {
  readonly overwrite: boolean
  readonly rename: boolean
  readonly skip: boolean
}

/** At most one of the three. */
export const conflictPolicy = ({
  overwrite,
  rename,
  skip
}: PolicyFlags): Effect.Effect<Policy, shared.OptionsConflict> => {
  const given = Object.entries({ overwrite, rename, skip }).flatMap(([name, is]) =>
    is ? [name as Policy] : []
  )
  return given.length > 1
    ? Effect.fail(
        new shared.OptionsConflict({ detail: `--${given.join(" and --")} do not go together` })
      )
    : Effect.succeed(given[0] ?? "refuse")
}

/** Waits so that no more than so many bytes pass in a second. */
export const rateLimiter = (
  limit: Option.Option<number>
): ((bytes: number) => Effect.Effect<void>) => {
  if (Option.isNone(limit)) return () => Effect.void
  const rate = limit.value
  let free = performance.now()
  return (bytes) =>
    Effect.suspend(() => {
      const now = performance.now()
      // What was not used is not saved up, beyond a moment.
      free = Math.max(free, now - 100) + (bytes / rate) * 1000
      return free > now ? Effect.sleep(free - now) : Effect.void
    })
}
