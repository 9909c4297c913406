// What a line of known_peers says of its key beside whose it is. keys/PEERS.md.
import * as Either from "effect/Either"
import * as UtcDate from "../keys/UtcDate.ts"
import * as OptionSpec from "./OptionSpec.ts"

export interface Pin {
  /** The moment from which on the key is not believed any more, in milliseconds since 1970. */
  readonly retires?: number
  readonly revoked?: true
}

/** Why the key is not believed, as a clause; undefined while it is. */
export const refusal = ({ retires, revoked }: Pin, now: number): string | undefined => {
  if (revoked) return "revoked"
  return retires !== undefined && now >= retires ? `retired ${UtcDate.format(retires)}` : undefined
}

/** Every option of known_peers. */
export const options: ReadonlyArray<OptionSpec.OptionSpec<Pin>> = [
  {
    name: "retiring",
    example: "2027-01-01",
    summary: "from then on the key is not believed; a date is its first moment, in UTC",
    read: (value) => {
      const retires = UtcDate.parse(value)
      return retires === undefined
        ? Either.left({ offset: 0, detail: UtcDate.syntax })
        : Either.right({ retires })
    },
    write: ({ retires }) => (retires === undefined ? undefined : UtcDate.format(retires))
  },
  {
    name: "revoked",
    example: undefined,
    summary: "the key is never believed again, and a server that shows it is refused",
    read: () => Either.right({ revoked: true }),
    write: ({ revoked }) => (revoked ? "" : undefined)
  }
]

/** Formats the options of a line, each as the file has it. */
export const format = (pin: Pin): ReadonlyArray<string> => OptionSpec.format(options, pin)
