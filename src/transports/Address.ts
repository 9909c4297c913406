// Where to connect and where to listen, as a person writes it. DESIGN section 8.
import { isIPv4, isIPv6 } from "node:net"
import * as Data from "effect/Data"
import * as Either from "effect/Either"
import * as Printable from "../bytes/Printable.ts"

/** Where to connect, or to listen. */
export type Address =
  | { readonly _tag: "Tcp"; readonly host: string; readonly port: number }
  | { readonly _tag: "Unix"; readonly path: string }
  /** A listening socket that this process was started with: its descriptor, or the name systemd gave it. */
  | { readonly _tag: "Inherited"; readonly socket: number | string }

/** A host, by name or address, and a port; port 0 takes a free one where one listens. */
export const tcp = (host: string, port: number): Address => ({ _tag: "Tcp", host, port })
/** A Unix socket. */
export const unix = (path: string): Address => ({ _tag: "Unix", path })

/** The text is no address. */
export class AddressInvalid extends Data.TaggedError("AddressInvalid")<{
  readonly text: string
  readonly detail: string
}> {
  override get message(): string {
    return `"${Printable.line(this.text)}" is not an address: ${this.detail}`
  }
}

/** The host that `:port` means: this machine alone. */
export const defaultHost = "127.0.0.1"

/** What the kernel takes for a socket's path, in bytes (sun_path, less its NUL). */
const maxUnixPath = process.platform === "linux" ? 107 : 103

/** `host:port`, `[v6]:port`, `:port` (127.0.0.1), `/absolute/path` or `unix:path`; for listening also `fd:N` and `systemd:NAME`. */
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
    if (path === "" || path.includes("\0"))
      return invalid("write the path of the socket after unix:")
    if (Buffer.byteLength(path) > maxUnixPath)
      return invalid(`a socket's path has at most ${maxUnixPath} bytes`)
    return Either.right(unix(path))
  }
  const match =
    /^(?:\[(?<v6>[0-9a-fA-F:.]+(?:%[^\]\s]+)?)\]|(?<host>[^:[\]\s/]*)):(?<port>\d{1,5})$/.exec(text)
  if (match?.groups === undefined) return invalid(hintFor(text))
  const { v6, host } = match.groups
  const port = Number(match.groups.port)
  if (port > 65535) return invalid("a port is at most 65535")
  if (v6 !== undefined && !isIPv6(v6))
    return invalid("between brackets stands an IPv6 address: [::1]:8080")
  return Either.right(tcp(v6 ?? (host || defaultHost), port))
}

const hintFor = (text: string): string => {
  if (/^\d+$/.test(text)) return `for a port of this machine write :${text}`
  if ((text.match(/:/g)?.length ?? 0) > 1) return "put an IPv6 address in brackets: [::1]:8080"
  if (/^[^:]*(\/[^:]*|\.sock)$/.test(text))
    return `for a socket's path write unix:${Printable.line(text)}`
  if (!text.includes(":"))
    return `a port is missing: write ${Printable.line(text) || "127.0.0.1"}:8080`
  return "write host:port, [v6]:port, :port, /absolute/path or unix:path"
}

/** As `parse` reads it. */
export const format = (address: Address): string =>
  address._tag === "Inherited"
    ? `${typeof address.socket === "number" ? "fd" : "systemd"}:${address.socket}`
    : address._tag === "Unix"
      ? address.path.startsWith("/")
        ? address.path
        : `unix:${address.path}`
      : `${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`

/** True for what is an address itself, and no name of one. */
export const isIp = (host: string): boolean => isIPv4(host) || isIPv6(host)

/** True when only this machine can reach it. A name that merely begins like 127.0.0.1 may be anywhere. */
export const isLoopback = (address: Address): boolean => {
  if (address._tag === "Unix") return true
  // Whoever made it knows.
  if (address._tag === "Inherited") return false
  const v4 = address.host.replace(/^::ffff:/, "")
  return (
    (isIPv4(v4) && v4.startsWith("127.")) || address.host === "::1" || address.host === "localhost"
  )
}
