// Addresses to connect to and to listen on, and their text form.
import { quoted, shown } from "../bytes/excerpt.ts"
import { mayBeKey, mayBeSecret } from "../bytes/mayBeSecret.ts"
import { isIPv4, isIPv6 } from "node:net"
import { normalize, resolve } from "node:path"
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Data from "effect/Data"
import * as Either from "effect/Either"
import { canonicalHost } from "./canonicalHost.ts"

export { isIp } from "./canonicalHost.ts"

/** An address to connect to or to listen on. */
export type Address =
  | { readonly _tag: "Tcp"; readonly host: string; readonly port: number }
  | { readonly _tag: "Unix"; readonly path: string }
  /** A listening socket that this process inherited: its descriptor, or its name from systemd. */
  | { readonly _tag: "Inherited"; readonly socket: number | string }

type UnixAddress = Extract<Address, { readonly _tag: "Unix" }>

/**
 * A host, as a name or an IP address in any spelling (IPv6 without brackets), and a port. Port 0
 * selects a free port to listen on. Throws AddressInvalid for a text that is no host; `parse`
 * returns it.
 */
export const tcp = (host: string, port: number): Address => {
  const canonicalForm = canonicalHost(host)
  if (canonicalForm === undefined)
    throw new AddressInvalid({
      text: host,
      detail: /^\[.*\]$/s.test(host)
        ? "give the host of an IPv6 address without brackets"
        : `${shown(host) || "an empty text"} is not a host name or an IP address`
    })
  return { _tag: "Tcp", host: canonicalForm, port }
}

/**
 * A Unix socket path, with `..` resolved as in `socketPath`. Throws AddressInvalid for a path that
 * no socket can have: the system would cut a long one, and bind another path.
 */
export const unix = (path: string): UnixAddress =>
  Either.getOrThrowWith(parseUnix(path), (error) => error)

/** `unix` for a text that a user has given. */
export const parseUnix = (path: string): Either.Either<UnixAddress, AddressInvalid> => {
  const invalid = (detail: string) => Either.left(new AddressInvalid({ text: path, detail }))
  if (path === "" || path.includes("\0")) return invalid("write the path of the socket")
  const resolved = socketPath(path)
  return Buffer.byteLength(resolved) > maxUnixPath
    ? invalid(`a socket path has at most ${maxUnixPath} bytes`)
    : Either.right({ _tag: "Unix", path: resolved })
}

/**
 * Returns the path with which a socket is bound and reached. `..` removes the name before it, as in
 * `canonical`: the kernel would follow a symbolic link of that name first, and reach another socket
 * than the one that is pinned.
 */
export const socketPath = (path: string): string =>
  path.split("/").includes("..") ? normalize(path) : path

/** The text is not an address. */
export class AddressInvalid extends Data.TaggedError("AddressInvalid")<{
  readonly text: string
  readonly detail: string
}> {
  override get message(): string {
    return `${quoted(this.text)} is not an address: ${this.detail}`
  }
}

/** The host of `:port`: loopback only. */
export const defaultHost = "127.0.0.1"

/** The longest path of a Unix socket, in bytes: the size of sun_path less its NUL. */
const maxUnixPath = process.platform === "linux" ? 107 : 103

/**
 * Parses `host:port`, `[v6]:port`, `:port` (127.0.0.1), `/absolute/path` or `unix:path`; for
 * listening also `fd:N` and `systemd:NAME`. A host that may be a secret is refused before anybody
 * resolves it.
 */
export const parse = (text: string): Either.Either<Address, AddressInvalid> => {
  const invalid = (detail: string) => Either.left(new AddressInvalid({ text, detail }))
  const inherited = /^(?:fd:(?<fd>\d{1,4})|systemd:(?<name>[^:\s]{1,255}))$/.exec(text)?.groups
  if (inherited?.name !== undefined)
    return Either.right({ _tag: "Inherited", socket: inherited.name })
  if (inherited?.fd !== undefined)
    return Number(inherited.fd) > 2
      ? Either.right({ _tag: "Inherited", socket: Number(inherited.fd) })
      : invalid(
          "descriptors 0 to 2 are standard input, output and error; an inherited socket is fd:3 or above"
        )
  if (/^(fd|systemd):/.test(text))
    return invalid(
      "write fd:N for a descriptor (fd:3), or systemd:NAME with the FileDescriptorName of a .socket unit"
    )
  if (text.startsWith("/") || text.startsWith("unix:")) {
    const path = text.startsWith("/") ? text : text.slice("unix:".length)
    return Either.mapLeft(parseUnix(path), ({ detail }) => new AddressInvalid({ text, detail }))
  }
  const match =
    /^(?:\[(?<v6>[0-9a-fA-F:.]+(?:%[^\]\s]+)?)\]|(?<host>[^:[\]\s/]*)):(?<port>\d{1,5})$/.exec(text)
  if (match?.groups === undefined) return invalid(hintFor(text))
  const { v6, host } = match.groups
  const port = Number(match.groups.port)
  if (port > 65535) return invalid("a port is at most 65535")
  if (v6 !== undefined && !isIPv6(v6))
    return invalid("brackets must contain an IPv6 address: [::1]:8080")
  if (host !== undefined && isSecretHost(host))
    return invalid("its host may be a key; resolving it would publish it in the DNS")
  const canonicalForm = canonicalHost(v6 ?? (host || defaultHost))
  return canonicalForm === undefined
    ? invalid(`${shown(host ?? "")} is not a host name or an IP address`)
    : Either.right(tcp(canonicalForm, port))
}

/**
 * True for a host that may be a secret, in the case in which it was given. Plain words with dots
 * between them are the name of a host and no passphrase.
 */
const isSecretHost = (host: string): boolean =>
  host.includes(".") ? mayBeKey(host) : mayBeSecret(host)

const hintFor = (text: string): string => {
  if (/^\d+$/.test(text)) return `for a port on this machine write :${shown(text)}`
  if ((text.match(/:/g)?.length ?? 0) > 1) return "put an IPv6 address in brackets: [::1]:8080"
  if (/^[^:]*(\/[^:]*|\.sock)$/.test(text)) return `for a socket path write unix:${shown(text)}`
  if (!text.includes(":")) return `missing port: write ${shown(text) || "127.0.0.1"}:8080`
  return "write host:port, [v6]:port, :port, /absolute/path or unix:path"
}

/**
 * An address in the program's configuration, in the form that `parse` reads.
 *
 * @example
 * const address = yield* Address.config("SEALWIRE_ADDRESS")
 */
export const config = (name: string): Config.Config<Address> =>
  Config.mapOrFail(Config.string(name), (text) =>
    Either.mapLeft(parse(text), ({ message }) => ConfigError.InvalidData([name], message))
  )

/** Formats an address so that `parse` reads it back. The host is in its canonical form. */
export const format = (address: Address): string => {
  if (address._tag === "Inherited")
    return `${typeof address.socket === "number" ? "fd" : "systemd"}:${address.socket}`
  if (address._tag === "Unix")
    return address.path.startsWith("/") ? address.path : `unix:${address.path}`
  const host = canonicalHost(address.host) ?? address.host
  return `${host.includes(":") ? `[${host}]` : host}:${address.port}`
}

/**
 * Formats an address in the one form in which addresses are compared and stored: the host is
 * canonical, and the path of a Unix socket is absolute, without `.`, `..` and repeated slashes.
 */
export const canonical = (address: Address): string =>
  // Not `unix`: a relative path may be short enough for a socket where the absolute one is not.
  format(
    address._tag === "Unix" ? { ...address, path: socketPath(resolve(address.path)) } : address
  )

/** The same for a text; one that is no address stays as it is, and equals only itself. */
export const canonicalText = (text: string): string =>
  Either.match(parse(text), { onLeft: () => text, onRight: canonical })

/**
 * Returns true when only this machine can reach the address. A host name that begins with 127, such
 * as 127.0.0.1.example, is not a loopback address.
 */
export const isLoopback = (address: Address): boolean => {
  if (address._tag === "Unix") return true
  // The process that bound the socket decided that; it cannot be told from the address.
  if (address._tag === "Inherited") return false
  return isLoopbackHost(address.host)
}

/** True for a host name or an IP address, in any spelling; IPv6 without brackets. */
export const isHost = (text: string): boolean => canonicalHost(text) !== undefined

/** `isLoopback` for a host, in any spelling; false for a text that is no host. */
export const isLoopbackHost = (text: string): boolean => {
  const host = canonicalHost(text)
  return (
    host !== undefined &&
    ((isIPv4(host) && host.startsWith("127.")) || host === "::1" || host === "localhost")
  )
}
