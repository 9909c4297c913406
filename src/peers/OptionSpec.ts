// The options of a peers file. A spec describes an option and is the key to its value. PEERS.md.
import * as Either from "effect/Either"
import { excerpt } from "../bytes/excerpt.ts"
import { columnAt, valueOf, type Fault, type GivenOption } from "./PeerLine.ts"

/** An invalid value: the offset of the fault in the value, and the reason as a clause. */
export interface ValueFault {
  readonly offset: number
  readonly detail: string
}

/**
 * An option of a peers file. Names are unique: specs with the same name have the same type of
 * value. A flag is an option without a value; `A` is `true` then.
 *
 * @example
 * const maxRooms = OptionSpec.count({ name: "max-rooms", example: "3", summary: "rooms at once" })
 * const limit = rules.get(maxRooms) // number | undefined
 */
export interface OptionSpec<A> {
  readonly name: string
  /** An example of the value; undefined for a flag. */
  readonly example: string | undefined
  /** The meaning in one line, for help and documentation. */
  readonly summary: string
  /** Decodes the text between the quotes; "" for a flag. */
  decode(value: string): Either.Either<A, ValueFault>
  /** Encodes a value so that `decode` reads it; "" for a flag. */
  encode(value: A): string
}

/** An option with a value of any type, as a list of options has it. */
export type AnyOption = OptionSpec<unknown>

/** The options of a line with their values. Immutable. */
export class OptionValues {
  /** By the name of the option. */
  readonly values: ReadonlyMap<string, unknown>

  constructor(values: ReadonlyMap<string, unknown> = new Map()) {
    this.values = values
  }

  /** Returns the value of an option; undefined if the line does not have it. */
  get<A>({ name }: OptionSpec<A>): A | undefined {
    return this.values.get(name) as A | undefined
  }

  /** Returns these options with one more, or with another value of one. */
  with<A>({ name }: OptionSpec<A>, value: A): OptionValues {
    return new OptionValues(new Map([...this.values, [name, value]]))
  }
}

/**
 * Decodes the options of a line. Fails at an unknown or repeated option, and at an invalid value.
 */
export const decode = (
  specs: ReadonlyArray<AnyOption>,
  options: ReadonlyArray<GivenOption>
): Either.Either<OptionValues, Fault> => {
  const values = new Map<string, unknown>()
  for (const given of options) {
    const { name, column, quoted } = given
    const spec = specs.find((each) => each.name === name)
    if (spec === undefined)
      return fault(
        column,
        `unknown option ${excerpt(name)}; the options are ${specs.map((each) => each.name).join(", ")}`
      )
    if (values.has(name)) return fault(column, `duplicate option ${name}`)
    if (spec.example === undefined && quoted !== undefined)
      return fault(column, `${name} takes no value`)
    if (spec.example !== undefined && quoted === undefined)
      return fault(column, `${name} needs a value: ${formatExample(spec)}`)
    const decoded = spec.decode(valueOf(given))
    if (Either.isLeft(decoded))
      return fault(columnAt(given, decoded.left.offset), decoded.left.detail)
    values.set(name, decoded.right)
  }
  return Either.right(new OptionValues(values))
}

/** Encodes options in the order of the specs, each as a line has it. */
export const encode = (
  specs: ReadonlyArray<AnyOption>,
  { values }: OptionValues
): ReadonlyArray<string> =>
  specs.flatMap((spec) => {
    if (!values.has(spec.name)) return []
    const value = spec.encode(values.get(spec.name))
    return [
      spec.example === undefined ? spec.name : `${spec.name}="${value.replaceAll('"', '\\"')}"`
    ]
  })

/** Formats an option as help and errors show it: `from="10.0.0.0/8"`. */
export const formatExample = ({ name, example }: Pick<AnyOption, "name" | "example">): string =>
  example === undefined ? name : `${name}="${example}"`

type Described = Pick<AnyOption, "name" | "summary">

/** An option without a value. */
export const flag = ({ name, summary }: Described): OptionSpec<true> => ({
  name,
  example: undefined,
  summary,
  decode: () => Either.right(true),
  encode: () => ""
})

/** An option whose value is a list, separated by commas. */
export const list = <A>({
  decodeEntry,
  encodeEntry,
  ...described
}: Described & {
  readonly example: string
  readonly decodeEntry: (text: string) => Either.Either<A, string>
  readonly encodeEntry: (entry: A) => string
}): OptionSpec<ReadonlyArray<A>> => ({
  ...described,
  decode: (value) => decodeList(value, decodeEntry),
  encode: (entries) => entries.map(encodeEntry).join(",")
})

/** An option whose value is a whole number above 0. */
export const count = (described: Described & { readonly example: string }): OptionSpec<number> => ({
  ...described,
  decode: (value) => decodeCount(value),
  encode: String
})

/** An option whose value is a number of bytes; K, M and G stand for 1024, 1024² and 1024³. */
export const bytes = (described: Described & { readonly example: string }): OptionSpec<number> => ({
  ...described,
  decode: decodeBytes,
  encode: encodeBytes
})

/**
 * Decodes a list with `,` between its entries. No entry is empty; a fault has the entry's offset.
 */
export const decodeList = <A>(
  value: string,
  decodeEntry: (text: string) => Either.Either<A, string>
): Either.Either<ReadonlyArray<A>, ValueFault> => {
  const entries: Array<A> = []
  let offset = 0
  for (const text of value.split(",")) {
    const entry = text === "" ? Either.left("empty entry in this list") : decodeEntry(text)
    if (Either.isLeft(entry)) return Either.left({ offset, detail: entry.left })
    entries.push(entry.right)
    offset += text.length + 1
  }
  return Either.right(entries)
}

/** The fault of a value as a whole. */
export const invalidValue = (detail: string): Either.Either<never, ValueFault> =>
  Either.left({ offset: 0, detail })

const decodeCount = (digits: string, unit = 1): Either.Either<number, ValueFault> => {
  const number = /^[1-9]\d*$/.test(digits) ? Number(digits) * unit : 0
  return number > 0 && Number.isSafeInteger(number)
    ? Either.right(number)
    : invalidValue("not a whole number above 0 (bytes may have the suffix K, M or G)")
}

const units = ["", "K", "M", "G"]

/** Decodes a number of bytes; K, M and G stand for 1024, 1024² and 1024³. */
export const decodeBytes = (value: string): Either.Either<number, ValueFault> => {
  const { digits = "", unit = "" } = /^(?<digits>\d+)(?<unit>[KMG]?)$/.exec(value)?.groups ?? {}
  return decodeCount(digits, 1024 ** units.indexOf(unit))
}

const encodeBytes = (number: number): string => {
  const power = [3, 2, 1].find((power) => number % 1024 ** power === 0) ?? 0
  return `${number / 1024 ** power}${units[power] ?? ""}`
}

const fault = (column: number, detail: string): Either.Either<never, Fault> =>
  Either.left({ column, detail })
