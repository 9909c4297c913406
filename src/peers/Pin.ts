// The options of a line of known_peers. PEERS.md.
import * as Either from "effect/Either"
import * as UtcDate from "../keys/UtcDate.ts"
import * as OptionSpec from "./OptionSpec.ts"

/** The options of a line. */
export interface Pin {
  /** Time from which on the key is refused, in milliseconds since 1970. */
  readonly retires?: number
  readonly revoked?: true
  /** The server announced the key; the user did not pin it. */
  readonly announced?: true
}

/** Returns why the key is not valid, as a clause; undefined if it is valid. */
export const refusal = ({ retires, revoked }: Pin, now: number): string | undefined => {
  if (revoked) return "revoked"
  return retires !== undefined && now >= retires ? `retired ${UtcDate.format(retires)}` : undefined
}

export const retiring: OptionSpec.OptionSpec<number> = {
  name: "retiring",
  example: "2027-01-01",
  summary: "time at which the key becomes invalid; a date means 00:00 UTC",
  decode: (value) => {
    const retires = UtcDate.parse(value)
    return retires === undefined ? OptionSpec.invalidValue(UtcDate.syntax) : Either.right(retires)
  },
  encode: UtcDate.format
}

const revoked: OptionSpec.OptionSpec<true> = OptionSpec.flag({
  name: "revoked",
  summary: "the key is permanently invalid, at every address, and a server that shows it is refused"
})

const announced: OptionSpec.OptionSpec<true> = OptionSpec.flag({
  name: "announced",
  summary: "the server has announced the key under another one; nobody has compared it"
})

/** Every option of known_peers. */
export const options: ReadonlyArray<OptionSpec.AnyOption> = [retiring, revoked, announced]

/** Reads the options of a line. */
export const fromOptions = (values: OptionSpec.OptionValues): Pin => {
  const retires = values.get(retiring)
  return {
    ...(retires === undefined ? {} : { retires }),
    ...(values.get(revoked) ? { revoked: true } : {}),
    ...(values.get(announced) ? { announced: true } : {})
  }
}

/** Formats the options of a line, each as the file has it. */
export const format = (pin: Pin): ReadonlyArray<string> => {
  let values = new OptionSpec.OptionValues()
  if (pin.retires !== undefined) values = values.with(retiring, pin.retires)
  if (pin.revoked) values = values.with(revoked, true)
  if (pin.announced) values = values.with(announced, true)
  return OptionSpec.encode(options, values)
}
