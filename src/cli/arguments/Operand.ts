// An argument of a command that is no option: data for help and completions, and its parser.
import * as Args from "@effect/cli/Args"
import type * as HelpDoc from "@effect/cli/HelpDoc"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Pipeable from "effect/Pipeable"
import type { Completes } from "./Flag.ts"

/** An argument as data. */
export interface OperandData {
  /** The placeholder: "FILE". */
  readonly name: string
  readonly describe: string
  readonly isRequired: boolean
  readonly many: boolean
  readonly choices?: ReadonlyArray<string>
  readonly completes?: Completes
}

/** An argument whose parsed value has type A. */
export class Operand<out A> extends Pipeable.Class() {
  readonly data: OperandData
  readonly parser: Args.Args<A>
  constructor(data: OperandData, parser: Args.Args<A>) {
    super()
    this.data = data
    this.parser = parser
  }
}

/** One argument, required until `optional` or `repeated`. */
export const text = (name: string): Operand<string> =>
  new Operand({ name, describe: "", isRequired: true, many: false }, Args.text({ name }))

const change =
  (more: Partial<OperandData>) =>
  <A>({ data, parser }: Operand<A>): Operand<A> =>
    new Operand({ ...data, ...more }, parser)

export const withDescription = (describe: string) => change({ describe })
export const withChoices = (choices: ReadonlyArray<string>) => change({ choices })
export const completing = (completes: Completes) => change({ completes })

export const optional = <A>({ data, parser }: Operand<A>): Operand<Option.Option<A>> =>
  new Operand({ ...data, isRequired: false }, Args.optional(parser))

/** Any number of arguments, none included. */
export const repeated = <A>({ data, parser }: Operand<A>): Operand<ReadonlyArray<A>> =>
  new Operand({ ...data, isRequired: false, many: true }, Args.repeated(parser))

/** One argument or more. */
export const some = <A>({ data, parser }: Operand<A>): Operand<ReadonlyArray<A>> =>
  new Operand({ ...data, many: true }, Args.atLeast(parser, 1))

export const mapEffect =
  <A, B>(parse: (value: A) => Effect.Effect<B, HelpDoc.HelpDoc>) =>
  ({ data, parser }: Operand<A>): Operand<B> =>
    new Operand(data, Args.mapEffect(parser, parse))
