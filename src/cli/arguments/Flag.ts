// An option of a command: data for help, manual pages, completions and configuration files, and the
// parser of @effect/cli that is made from the same definition.
import * as Options from "@effect/cli/Options"
import type * as ValidationError from "@effect/cli/ValidationError"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Pipeable from "effect/Pipeable"

/** The values that a shell can complete. */
export type Completes = "file" | "folder" | "client" | "server" | "peer" | "command"

/** An option as data. */
export interface FlagData {
  /** The long name, without hyphens. */
  readonly name: string
  /** The letter of the short name. */
  readonly short?: string
  /** The placeholder of the value: "FILE"; undefined for an option without a value. */
  readonly value?: string
  /** True if the option may be given several times. */
  readonly many: boolean
  readonly isRequired: boolean
  /** One or more sentences; the first one alone is the short help. */
  readonly describe: string
  /** The default as help shows it. */
  readonly default?: string
  /** The heading of the option in help. */
  readonly group?: string
  /** The only valid values. */
  readonly choices?: ReadonlyArray<string>
  readonly completes?: Completes
  /** Without this option it has no effect. */
  readonly needs?: string
  /** Beside one of these options it has no effect. */
  readonly excludes?: ReadonlyArray<string>
  /** The reason of `excludes`, which follows a colon. */
  readonly because?: string
  /** Names that a user may try instead; the error for them names this option. */
  readonly guesses?: ReadonlyArray<string>
}

/** An option whose parsed value has type A. */
export class Flag<out A> extends Pipeable.Class() {
  readonly data: FlagData
  readonly parser: Options.Options<A>
  constructor(data: FlagData, parser: Options.Options<A>) {
    super()
    this.data = data
    this.parser = parser
  }
}

/** An option with a value. It is required until `optional`, `withDefault` or `repeated`. */
export const text = (name: string): Flag<string> =>
  new Flag(
    { name, value: "VALUE", many: false, isRequired: true, describe: "" },
    Options.text(name)
  )

/** An option without a value. */
export const boolean = (name: string): Flag<boolean> =>
  new Flag({ name, many: false, isRequired: false, describe: "" }, Options.boolean(name))

const change =
  (more: Partial<FlagData>) =>
  <A>({ data, parser }: Flag<A>): Flag<A> =>
    new Flag({ ...data, ...more }, parser)

/** Names the value in help. */
export const withValue = (value: string) => change({ value })
export const withShort = (short: string) => change({ short })
export const withGroup = (group: string) => change({ group })
export const completing = (completes: Completes) => change({ completes })

/** Describes the option and its default, if it has one that help should show. */
export const withDescription = (describe: string, shownDefault?: string) =>
  change({ describe, ...(shownDefault === undefined ? {} : { default: shownDefault }) })

/** The default as help shows it, where it is no value of the option. */
export const withShownDefault = (text: string) => change({ default: text })

/** States that the option has no effect without another one. */
export const needing = (needs: string) => change({ needs })

/** States that the option has no effect beside one of these. */
export const excluding = (excludes: ReadonlyArray<string>, because?: string) =>
  change({ excludes, ...(because === undefined ? {} : { because }) })

/** Names of other programs, and former ones, for which errors suggest this option. */
export const withGuesses = (...guesses: ReadonlyArray<string>) => change({ guesses })

/** Lists the only valid values; `mapEffect` still checks them. */
export const withChoices = (choices: ReadonlyArray<string>) => change({ choices })

export const mapEffect =
  <A, B>(parse: (value: A) => Effect.Effect<B, ValidationError.ValidationError>) =>
  ({ data, parser }: Flag<A>): Flag<B> =>
    new Flag(data, Options.mapEffect(parser, parse))

export const optional = <A>({ data, parser }: Flag<A>): Flag<Option.Option<A>> =>
  new Flag({ ...data, isRequired: false }, Options.optional(parser))

/** The value without the option. Help shows a number, a text or a duration. */
export const withDefault =
  <const B>(fallback: B) =>
  <A>({ data, parser }: Flag<A>): Flag<A | B> => {
    const shown = shownValue(fallback)
    return new Flag(
      { ...data, ...(shown === undefined ? {} : { default: shown }), isRequired: false },
      Options.withDefault(parser, fallback)
    )
  }

const shownValue = (value: unknown): string | undefined => {
  if (Duration.isDuration(value)) return Duration.format(value)
  return (typeof value === "string" && value !== "") || typeof value === "number"
    ? String(value)
    : undefined
}

export const repeated = <A>({ data, parser }: Flag<A>): Flag<ReadonlyArray<A>> =>
  new Flag({ ...data, many: true, isRequired: false }, Options.repeated(parser))

/** Gives each option of a record the same heading in help. */
export const grouped = <const R extends Readonly<Record<string, Flag<unknown>>>>(
  group: string,
  flags: R
): R =>
  Object.fromEntries(
    Object.entries(flags).map(([key, flag]) => [key, flag.pipe(withGroup(group))])
  ) as R
