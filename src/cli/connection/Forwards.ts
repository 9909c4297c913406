// The targets of a server: serve --forward NAME=ADDRESS, and the options that go with it.
import { quoted, shown } from "../../bytes/excerpt.ts"
import * as Flag from "../arguments/Flag.ts"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Duration from "effect/Duration"
import { expectedTargetName, isTargetName } from "../../services/tunnel/rules.ts"
import * as TunnelService from "../../services/tunnel/TunnelService.ts"
import * as Address from "../../transports/Address.ts"
import * as options from "../arguments/options.ts"

interface NamedTarget {
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
      `${quoted(text)} is not NAME=ADDRESS, for example postgres=127.0.0.1:5432`
    )
  if (!isTargetName(name))
    return options.optionError(
      "forward",
      `${quoted(name)} is not a valid target name: ${expectedTargetName}`
    )
  const address = Address.parse(text.slice(at + 1))
  if (Either.isLeft(address)) return options.optionError("forward", address.left.message)
  if (address.right._tag === "Inherited")
    return options.optionError("forward", options.onlyForListening)
  return Effect.succeed<NamedTarget>({ name, address: address.right })
}

/** True for an IP address of another machine. A host name is checked at each connection. */
const isRemote = ({ address }: NamedTarget): boolean =>
  address._tag === "Tcp" && Address.isIp(address.host) && !Address.isLoopback(address)

export const serveOptions = Flag.grouped("Tunnels", {
  forward: Flag.text("forward").pipe(
    Flag.withValue("NAME=ADDRESS"),
    Flag.repeated,
    Flag.mapEffect((texts) => Effect.forEach(texts, parse)),
    Flag.withDescription(
      "Target for sealwire tunnel and pipe: postgres=127.0.0.1:5432, or NAME=/path of a Unix socket. " +
        "A host name is resolved for each connection and must resolve to this machine. target= in authorized_peers limits a client's targets."
    )
  ),
  proxyProtocol: Flag.text("proxy-protocol").pipe(
    Flag.withValue("NAME"),
    Flag.repeated,
    Flag.withDescription(
      "Send this target a PROXY protocol header (version 2) with the client's address, and its name as TLV 0xE0."
    )
  ),
  unsafeForwardInClear: Flag.boolean(unsafe).pipe(
    Flag.needing("--forward"),
    Flag.withDescription(
      "Allow targets on other machines: traffic to them crosses the network unencrypted."
    )
  ),
  tunnelIdle: options
    .duration("tunnel-idle", "Close a connection to a target after this time without traffic.")
    .pipe(
      Flag.optional,
      Flag.withShownDefault(TunnelService.limits.idle),
      Flag.needing("--forward")
    )
})

export interface Flags {
  readonly forward: ReadonlyArray<NamedTarget>
  readonly proxyProtocol: ReadonlyArray<string>
  readonly unsafeForwardInClear: boolean
  readonly tunnelIdle: Option.Option<Duration.Duration>
}

/** Fails for targets that cannot be served together, or not with these options. */
export const validate = ({ forward, proxyProtocol, unsafeForwardInClear }: Flags) =>
  Effect.gen(function* () {
    const names = forward.map(({ name }) => name)
    const duplicate = names.find((name, index) => names.indexOf(name) < index)
    if (duplicate !== undefined)
      return yield* options.optionError("forward", `duplicate target ${shown(duplicate)}`)
    const unknown = proxyProtocol.find((name) => !names.includes(name))
    if (unknown !== undefined)
      return yield* options.optionError(
        "proxy-protocol",
        `no target ${quoted(unknown)} (see --forward)`
      )
    const remote = unsafeForwardInClear ? undefined : forward.find(isRemote)
    return remote === undefined
      ? undefined
      : yield* options.optionError(
          "forward",
          `${Address.format(remote.address)} is another machine, and traffic to it would cross the network unencrypted; ` +
            `run sealwire serve there, or add --${unsafe}`
        )
  })

/** Makes the tunnel service of valid targets; none without a target. */
export const services = ({ forward, proxyProtocol, unsafeForwardInClear, tunnelIdle }: Flags) =>
  Effect.gen(function* () {
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
