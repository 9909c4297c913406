// The targets of a server: serve --forward NAME=ADDRESS, and what goes with it.
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Duration from "effect/Duration"
import * as Printable from "../../bytes/Printable.ts"
import { expected, isName } from "../../peers/PeerName.ts"
import * as TunnelService from "../../services/tunnel/TunnelService.ts"
import * as Address from "../../transports/Address.ts"
import * as options from "../arguments/options.ts"

interface Named {
  readonly name: string
  readonly address: Address.Address
}

const unsafe = "unsafe-forward-in-clear"

const parse = (text: string) => {
  const at = text.indexOf("=")
  const name = text.slice(0, Math.max(at, 0))
  if (name === "")
    return options.optionError(
      "forward",
      `"${Printable.line(text)}" is no NAME=ADDRESS, such as postgres=127.0.0.1:5432`
    )
  if (!isName(name))
    return options.optionError(
      "forward",
      `"${Printable.line(name)}" is no name of a target: ${expected}`
    )
  const address = Address.parse(text.slice(at + 1))
  if (Either.isLeft(address)) return options.optionError("forward", address.left.message)
  if (address.right._tag === "Inherited")
    return options.optionError("forward", options.onlyForListening)
  return Effect.succeed<Named>({ name, address: address.right })
}

/** A name may lead to this machine; whether it does is seen at each connection. */
const isElsewhere = ({ address }: Named): boolean =>
  address._tag === "Tcp" && Address.isIp(address.host) && !Address.isLoopback(address)

export const serving = {
  forward: Options.text("forward").pipe(
    Options.withPseudoName("NAME=ADDRESS"),
    Options.repeated,
    Options.mapEffect((texts) => Effect.forEach(texts, parse)),
    Options.withDescription(
      "A target that clients may reach with sealwire tunnel and pipe: postgres=127.0.0.1:5432, or NAME=/path of a Unix socket. " +
        "Its name is looked up again for each connection, and must lead to this machine. target= in authorized_peers says who may reach which."
    )
  ),
  proxyProtocol: Options.text("proxy-protocol").pipe(
    Options.withPseudoName("NAME"),
    Options.repeated,
    Options.withDescription(
      "The target of that name is told who is there by a PROXY protocol header (version 2), with the client's name as TLV 0xE0."
    )
  ),
  unsafeForwardInClear: Options.boolean(unsafe).pipe(
    Options.withDescription(
      "Allow targets on other machines: what goes there crosses the network in clear."
    )
  ),
  tunnelIdle: options
    .duration(
      "tunnel-idle",
      `How long nothing may go through a connection to a target before it is ended. Default: ${TunnelService.limits.idle}.`
    )
    .pipe(Options.optional)
}

export interface Flags {
  readonly forward: ReadonlyArray<Named>
  readonly proxyProtocol: ReadonlyArray<string>
  readonly unsafeForwardInClear: boolean
  readonly tunnelIdle: Option.Option<Duration.Duration>
}

/** The service of these targets; none where there are none. */
export const services = ({ forward, proxyProtocol, unsafeForwardInClear, tunnelIdle }: Flags) =>
  Effect.gen(function* () {
    const names = forward.map(({ name }) => name)
    const twice = names.find((name, index) => names.indexOf(name) < index)
    if (twice !== undefined)
      return yield* options.optionError("forward", `two targets are named ${twice}`)
    const stray = proxyProtocol.find((name) => !names.includes(name))
    if (stray !== undefined)
      return yield* options.optionError(
        "proxy-protocol",
        `there is no target "${Printable.line(stray)}"`
      )
    const elsewhere = unsafeForwardInClear ? undefined : forward.find(isElsewhere)
    if (elsewhere !== undefined)
      return yield* options.optionError(
        "forward",
        `${Address.format(elsewhere.address)} is another machine, and what goes there crosses the network in clear; ` +
          `run sealwire serve there, or say --${unsafe}`
      )
    if (forward.length === 0) return []
    const targets = forward.map(({ name, address }) => ({
      name,
      address,
      allowRemote: unsafeForwardInClear,
      proxyProtocol: proxyProtocol.includes(name)
    }))
    return [
      yield* TunnelService.service(
        targets,
        Option.match(tunnelIdle, { onNone: () => ({}), onSome: (idle) => ({ idle }) })
      )
    ]
  })
