// Options that name addresses.
import * as Flag from "./Flag.ts"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Code from "../../bytes/Code.ts"
import * as Address from "../../transports/Address.ts"
import { optionError } from "./optionErrors.ts"

/** The address of the origin's server, the default of every command. */
export const originAddress = "127.0.0.1:8080"
export const origin = Either.getOrThrow(Address.parse(originAddress))

/** Why an inherited socket is refused as the address of a server. */
export const onlyForListening =
  "an inherited socket can only listen; write host:port or the path of a socket"

/** The forms of an address, for help. */
export const addressForms: ReadonlyArray<readonly [form: string, meaning: string]> = [
  ["host:port", "a name or an IPv4 address, and a port"],
  ["[v6]:port", "an IPv6 address"],
  [":port", "a port of this machine, on the loopback address only"],
  ["/path, unix:path", "a Unix socket"],
  ["fd:N, systemd:NAME", "an inherited socket, to listen on"]
]

const addressOption = (name: string, inherited: boolean) =>
  Flag.text(name).pipe(
    Flag.withValue("ADDRESS"),
    Flag.mapEffect((text) => {
      const parsed = Address.parse(text)
      if (Either.isLeft(parsed))
        return optionError(
          name,
          Code.looksLike(text)
            ? "this looks like a pairing code; never pass a code as an argument"
            : parsed.left.message
        )
      return parsed.right._tag === "Inherited" && !inherited
        ? optionError(name, onlyForListening)
        : Effect.succeed(parsed.right)
    })
  )

const addressOrOrigin = (name: string, description: string, inherited: boolean) =>
  addressOption(name, inherited).pipe(
    Flag.withDefault(origin),
    Flag.withDescription(description, originAddress)
  )

/** The address of a server. */
export const address = (name: string, description: string) =>
  addressOrOrigin(name, description, false)

/** The address to listen on, which may be an inherited socket. */
export const listen = addressOrOrigin("listen", "Address to listen on.", true)

/** An address without a default. */
export const optionalAddress = (name: string, description: string, inherited = false) =>
  addressOption(name, inherited).pipe(Flag.optional, Flag.withDescription(description))
