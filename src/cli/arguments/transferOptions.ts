// The options that push and pull share, and the values made from them.
import { quoted } from "../../bytes/excerpt.ts"
import * as Flag from "./Flag.ts"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { linkPolicies, type LinkPolicy, type Policy } from "../../services/transfer/Messages.ts"
import * as shared from "./options.ts"

const units: Readonly<Record<string, number>> = { "": 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 }

export const options = {
  dryRun: Flag.boolean("dry-run").pipe(
    Flag.withShort("n"),
    Flag.withDescription("Show what would be transferred, and change nothing.")
  ),
  overwrite: Flag.boolean("overwrite").pipe(Flag.withDescription("Replace existing files.")),
  rename: Flag.boolean("rename").pipe(
    Flag.withDescription("Store a file under another name if its name exists: report (1).txt.")
  ),
  skip: Flag.boolean("skip").pipe(
    Flag.withDescription(
      "Skip existing files. Without --overwrite, --rename or --skip an existing file is an error."
    )
  ),
  symlinks: Flag.text("symlinks").pipe(
    Flag.withChoices(linkPolicies),
    Flag.withValue("POLICY"),
    Flag.mapEffect(
      (text): Effect.Effect<LinkPolicy, never> | ReturnType<typeof shared.optionError> => {
        const found = linkPolicies.find((policy) => policy === text)
        return found === undefined
          ? shared.optionError(
              "symlinks",
              `${quoted(text)} is not one of ${linkPolicies.join(", ")}`
            )
          : Effect.succeed(found)
      }
    ),
    Flag.withDefault("skip" as LinkPolicy),
    Flag.withDescription(
      "Symbolic links: skip (with a warning), follow (transfer the target), keep (as links that stay inside the folder)."
    )
  ),
  limit: Flag.text("limit").pipe(
    Flag.withGuesses("--bwlimit"),
    Flag.withGroup("Connection"),
    Flag.excluding(["--dry-run"], "a dry run transfers no content"),
    Flag.withValue("RATE"),
    Flag.mapEffect((text) => {
      const [, digits = "", unit = ""] = /^(\d{1,9})([KMG]?)$/.exec(text) ?? []
      const rate = Number(digits) * (units[unit] ?? 0)
      return rate > 0
        ? Effect.succeed(rate)
        : shared.optionError(
            "limit",
            `${quoted(text)} is not a rate; write bytes per second: 500K, 10M`
          )
    }),
    Flag.optional,
    Flag.withDescription("Bandwidth limit in bytes per second: 500K, 10M (binary units).")
  ),
  retry: shared.retry("data that has arrived is not transferred again"),
  padding: shared.padding,
  json: shared.json
}

export interface PolicyFlags {
  readonly overwrite: boolean
  readonly rename: boolean
  readonly skip: boolean
}

/** The policy for files that exist. Fails if more than one flag is given. */
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
        new shared.OptionsConflict({ detail: `--${given.join(" and --")} exclude each other` })
      )
    : Effect.succeed(given[0] ?? "refuse")
}

/** A wait after each piece of data, so that at most `limit` bytes pass per second. */
export const rateLimiter = (
  limit: Option.Option<number>
): ((bytes: number) => Effect.Effect<void>) => {
  if (Option.isNone(limit)) return () => Effect.void
  const rate = limit.value
  let nextAt = performance.now()
  return (bytes) =>
    Effect.suspend(() => {
      const now = performance.now()
      // Unused bandwidth is credited for 100 ms at most.
      nextAt = Math.max(nextAt, now - 100) + (bytes / rate) * 1000
      return nextAt > now ? Effect.sleep(nextAt - now) : Effect.void
    })
}
