import * as Either from "effect/Either"
import { excerpt } from "../bytes/excerpt.ts"
import { columnAt, valueOf, type Fault, type Given } from "./PeerLine.ts"

/** A value that an option does not take: where in the value, and why, in a clause. */
export interface ValueFault {
  readonly offset: number
  readonly detail: string
}

/** An option of a peers file. Each kind of file has a list of them. */
export interface OptionSpec<Rules> {
  readonly name: string
  /** An example of its value; undefined for an option that is a word alone. */
  readonly example: string | undefined
  /** What it means, in a line. */
  readonly summary: string
  /** What it says, of its value ("" for a word alone). */
  readonly read: (value: string) => Either.Either<Partial<Rules>, ValueFault>
  /** The value that `read` takes for these rules; undefined where they do not have the option. */
  readonly write: (rules: Partial<Rules>) => string | undefined
}

/** What the options of a line say together. */
export const read = <Rules>(
  kinds: ReadonlyArray<OptionSpec<Rules>>,
  options: ReadonlyArray<Given>
): Either.Either<Partial<Rules>, Fault> => {
  const rules: Partial<Rules> = {}
  const before = new Set<string>()
  for (const given of options) {
    const { name, column, quoted } = given
    const kind = kinds.find((each) => each.name === name)
    if (kind === undefined)
      return fault(
        column,
        `${excerpt(name)} is no option; there are ${kinds.map((each) => each.name).join(", ")}`
      )
    if (before.has(name)) return fault(column, `${name} is given twice`)
    before.add(name)
    if (kind.example === undefined && quoted !== undefined)
      return fault(column, `${name} takes no value`)
    if (kind.example !== undefined && quoted === undefined)
      return fault(column, `${name} needs a value: ${formOf(kind)}`)
    const said = kind.read(valueOf(given))
    if (Either.isLeft(said)) return fault(columnAt(given, said.left.offset), said.left.detail)
    Object.assign(rules, said.right)
  }
  return Either.right(rules)
}

/** The options that these rules have, each as a line holds it. */
export const format = <Rules>(
  kinds: ReadonlyArray<OptionSpec<Rules>>,
  rules: Partial<Rules>
): ReadonlyArray<string> =>
  kinds.flatMap((kind) => {
    const value = kind.write(rules)
    if (value === undefined) return []
    return [
      kind.example === undefined ? kind.name : `${kind.name}="${value.replaceAll('"', '\\"')}"`
    ]
  })

/** `from="10.0.0.0/8"`, as help and errors show it. */
export const formOf = ({ name, example }: Pick<OptionSpec<never>, "name" | "example">): string =>
  example === undefined ? name : `${name}="${example}"`

/** Reads a list, `,` between its entries and no entry empty; a fault stands where its entry does. */
export const listOf = <A>(
  value: string,
  entry: (text: string) => Either.Either<A, string>
): Either.Either<ReadonlyArray<A>, ValueFault> => {
  const found: Array<A> = []
  let offset = 0
  for (const text of value.split(",")) {
    const read = text === "" ? Either.left("an entry of this list is empty") : entry(text)
    if (Either.isLeft(read)) return Either.left({ offset, detail: read.left })
    found.push(read.right)
    offset += text.length + 1
  }
  return Either.right(found)
}

const fault = (column: number, detail: string): Either.Either<never, Fault> =>
  Either.left({ column, detail })
