// The openings of tunnels: a target, and whether the channel is used again. TUNNEL.md section 1.
import { protocolLimits } from "../../channel/limits.ts"
import { opening } from "../Service.ts"
import { name as serviceName } from "./rules.ts"

/** No name of a target begins so. */
const reuse = "+reuse"

/** The part of an opening after the name of the service. */
export interface TunnelArgument {
  /** The name of the target; "" for the only one. */
  readonly target: string
  /** True when the channel carries several connections, one after another. */
  readonly isReused: boolean
}

/** Parses what follows the name of the service in an opening. */
export const parseArgument = (argument: string): TunnelArgument =>
  argument === reuse
    ? { target: "", isReused: true }
    : argument.endsWith(` ${reuse}`)
      ? { target: argument.slice(0, -reuse.length - 1), isReused: true }
      : { target: argument, isReused: false }

/** True for the opening of a channel that carries several connections. */
export const isReused = (opened: string): boolean => opened.endsWith(` ${reuse}`)

/** The opening of a channel that carries one connection. */
export const once = (target: string): string => opening(serviceName, target)

/** The opening of a channel that is used again; `once` for a name that leaves no room for it. */
export const reused = (target: string): string => {
  const text = `${once(target)} ${reuse}`
  return Buffer.byteLength(text) <= protocolLimits.openingBytes ? text : once(target)
}
