// Binding a listening socket: TCP, Unix (with removal of a stale socket file), or inherited.
import { randomBytes } from "node:crypto"
import { linkSync, lstatSync, statSync, unlinkSync } from "node:fs"
import net from "node:net"
import { dirname } from "node:path"
import * as Effect from "effect/Effect"
import * as Printable from "../bytes/Printable.ts"
import * as Utf8 from "../bytes/Utf8.ts"
import { format, type Address } from "./Address.ts"
import { limits } from "./limits.ts"
import { ListenFailed, PortInUse } from "./TransportErrors.ts"

type OnConnection = (socket: net.Socket) => void

/** The highWaterMark of sockets. Node supports the option; its type declarations lack it. */
export const buffering = { highWaterMark: limits.writeBufferBytes } as const

/**
 * Binds a server to the address. Removes a Unix socket file first when no process answers behind
 * it.
 */
export const bind = (
  address: Address,
  onConnection: OnConnection
): Effect.Effect<net.Server, PortInUse | ListenFailed> =>
  Effect.catchTag(attemptToBind(address, onConnection), "PortInUse", (inUse) =>
    address._tag === "Unix"
      ? Effect.zipRight(removeStale(address.path, inUse), attemptToBind(address, onConnection))
      : inUse
  )

/**
 * Closes a server. libuv removes the file of its Unix socket by name, even if another server has
 * put its own there meanwhile: `bound` is what `identityOf` returned after binding, and the file of
 * another keeps its name.
 */
export const close = (server: net.Server, address: Address, bound: string | undefined): void => {
  if (address._tag !== "Unix" || [undefined, bound].includes(identityOf(address))) {
    server.close()
    return
  }
  // A name that nobody can have taken before.
  const aside = `${address.path}.${randomBytes(8).toString("hex")}`
  const isKept = succeeds(() => linkSync(address.path, aside))
  server.close()
  if (!isKept) return
  // It fails if the path was bound again meanwhile.
  succeeds(() => linkSync(aside, address.path))
  succeeds(() => unlinkSync(aside))
}

const succeeds = (use: () => void): boolean => {
  try {
    use()
    return true
  } catch {
    return false
  }
}

/** Identifies the socket file of the address; undefined if there is none. */
export const identityOf = (address: Address): string | undefined => {
  if (address._tag !== "Unix") return undefined
  const stats = lstatSync(address.path, { throwIfNoEntry: false })
  return stats === undefined ? undefined : `${stats.dev}-${stats.ino}-${stats.birthtimeMs}`
}

const attemptToBind = (
  address: Address,
  onConnection: OnConnection
): Effect.Effect<net.Server, PortInUse | ListenFailed> =>
  Effect.async((resume) => {
    const server = net.createServer(
      {
        pauseOnConnect: true,
        allowHalfOpen: true,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: limits.keepAliveDelayMillis,
        ...buffering
      },
      onConnection
    )
    const failed = (error: NodeJS.ErrnoException) =>
      resume(listenFailed(address, codeOf(error, address)))
    server.once("error", failed)
    server.once("listening", () => {
      server.off("error", failed)
      server.on("error", () => {})
      resume(Effect.succeed(server))
    })
    const target = listenTarget(address)
    if (typeof target === "string")
      return resume(new ListenFailed({ address: format(address), detail: target }))
    // listen() binds a Unix socket synchronously, so its file has mode 0600 from the start.
    const umask = address._tag === "Unix" ? process.umask(0o177) : undefined
    try {
      server.listen({ ...target, backlog: limits.backlog })
    } finally {
      if (umask !== undefined) process.umask(umask)
    }
    return Effect.sync(() => {
      server.close()
    })
  })

/** Returns the options of net.Server.listen, or the reason why the address cannot be used. */
const listenTarget = (address: Address): net.ListenOptions | { readonly fd: number } | string => {
  if (address._tag === "Tcp") return { host: address.host, port: address.port }
  if (address._tag === "Unix") return { path: address.path }
  const fd =
    typeof address.socket === "number" ? address.socket : descriptorOf(address.socket, process.env)
  return typeof fd === "number" ? { fd } : fd
}

/** Returns the descriptor that systemd passed under this name: sd_listen_fds_with_names(3). */
const descriptorOf = (
  name: string,
  { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES = "" }: NodeJS.ProcessEnv
): number | string => {
  // Names that are not UTF-8 have U+FFFD here; such a name would match others that look alike.
  if (name.includes(Utf8.replacement)) return "the name of a socket cannot contain U+FFFD"
  if (LISTEN_PID !== String(process.pid))
    return "systemd passed no sockets to this process; is it started by a .socket unit?"
  const names = LISTEN_FDNAMES.split(":").slice(0, Number(LISTEN_FDS))
  const index = names.indexOf(name)
  return index >= 0
    ? 3 + index
    : `systemd passed no socket of that name; it passed ${names.map((known) => Printable.line(known)).join(", ")}`
}

/** libuv reports EACCES, as Windows does, when the folder of a socket does not exist. */
const codeOf = ({ code = "UNKNOWN" }: NodeJS.ErrnoException, address: Address): string =>
  code === "EACCES" && address._tag === "Unix" && !folderExists(dirname(address.path))
    ? "ENOENT"
    : code

/** A removed folder that is still the working directory has no name any more. */
const folderExists = (folder: string): boolean =>
  (statSync(folder, { throwIfNoEntry: false })?.nlink ?? 0) > 0

/**
 * Removes the socket file of a process that has exited; such a file blocks its path for ever.
 * Leaves the file alone unless connecting to it is refused.
 */
const removeStale = (
  path: string,
  inUse: PortInUse
): Effect.Effect<void, PortInUse | ListenFailed> =>
  Effect.gen(function* () {
    const before = yield* Effect.try({ try: () => lstatSync(path), catch: () => inUse })
    if (!before.isSocket())
      return yield* new ListenFailed({
        address: inUse.address,
        detail: "a file that is not a socket has this path; it was left unchanged"
      })
    const result = yield* probe(path)
    if (result !== "ECONNREFUSED") return yield* inUse
    yield* Effect.try({
      // Only the file that was probed: another server may have replaced it in the meantime, and
      // may even have got the same inode number.
      try: () => {
        const now = lstatSync(path)
        if (now.ino === before.ino && now.ctimeMs === before.ctimeMs) unlinkSync(path)
      },
      catch: () => inUse
    })
  })

/** Connects to a Unix socket. Returns the error code, or "alive" on success and on timeout. */
const probe = (path: string): Effect.Effect<string> =>
  Effect.async((resume) => {
    const socket = net.connect({ path, timeout: limits.staleProbeMillis })
    const done = (result: string) => {
      socket.destroy()
      resume(Effect.succeed(result))
    }
    socket.on("error", (error: NodeJS.ErrnoException) => done(error.code ?? "UNKNOWN"))
    socket.once("connect", () => done("alive"))
    socket.once("timeout", () => done("alive"))
  })

export const listenHints: Readonly<Record<string, string>> = {
  EACCES:
    "permission denied; ports below 1024 need root, and a socket needs a folder that this user may write to",
  EADDRNOTAVAIL: "the address is not assigned to this machine",
  ENOTFOUND: "could not resolve the host name; check its spelling and the DNS",
  EAI_AGAIN: "no name server answers; use an IP address, or check the network and /etc/resolv.conf",
  ENOENT: "its folder does not exist",
  EINVAL: "not usable as a socket: the path is too long, or the descriptor does not listen",
  EBADF: "no such descriptor is open",
  ENOTSOCK: "that descriptor is not a socket"
}

const listenFailed = (address: Address, code: string): PortInUse | ListenFailed =>
  code === "EADDRINUSE"
    ? new PortInUse({ address: format(address) })
    : new ListenFailed({ address: format(address), detail: listenHints[code] ?? code })
