import { lookup } from "node:dns"
import { existsSync, lstatSync, readSync, unlinkSync, writeSync } from "node:fs"
import net from "node:net"
import { dirname } from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { acceptor, type Handler, type ListenOptions } from "./Acceptor.ts"
import * as Printable from "../bytes/Printable.ts"
import { format, isLoopback, tcp, unix, type Address } from "./Address.ts"
import { fromWire, type Connection, type Wire } from "./Connection.ts"
import { asyncAtMost } from "./Deadline.ts"
import { limits } from "./limits.ts"
import type { ConnectOptions } from "./Transport.ts"
import { ConnectFailed, ListenFailed, PortInUse, type ConnectFailure } from "./TransportErrors.ts"

// TCP and Unix sockets on node:net.

export const connect = (
  address: Address,
  options: ConnectOptions = {}
): Effect.Effect<Connection, ConnectFailed, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      if (address._tag === "Inherited")
        return yield* new ConnectFailed({
          address: format(address),
          reason: "inherited",
          code: "EINVAL"
        })
      const socket = dial(address, options)
      const wire = wireOf(socket, format(address))
      // Outside of what can be interrupted: an interruption in the very moment of connecting must find the socket too.
      yield* Effect.onError(restore(connected(socket, address)), () =>
        Effect.sync(() => socket.destroy())
      )
      return yield* fromWire(wire)
    })
  )

/** A socket that this process was given, connected. */
export const fromSocket = (
  socket: net.Socket,
  peer: string
): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.suspend(() => fromWire(wireOf(socket, peer)))

export const listen = <R>(address: Address, handler: Handler<R>, options?: ListenOptions) =>
  Effect.gen(function* () {
    // Closed in the reverse order: first no more newcomers, then the drain.
    const door = yield* acceptor(handler, options)
    const newcomer = (socket: net.Socket) => {
      const peer = peerOf(socket, address)
      // Undefined when it has gone again already.
      if (peer === undefined) socket.destroy()
      else door.accept(wireOf(socket, peer))
    }
    const server = yield* Effect.acquireRelease(bound(address, newcomer), (server) =>
      Effect.sync(() => {
        server.close()
      })
    )
    const at = server.address()
    return {
      address:
        address._tag === "Tcp" && typeof at === "object" && at !== null
          ? tcp(address.host, at.port)
          : address,
      // A name may have led anywhere, and an inherited socket says nothing of itself.
      boundAddress:
        typeof at === "object" && at !== null ? tcp(at.address, at.port) : unix(at ?? ""),
      halfOpen: door.halfOpen
    }
  })

type Reachable = Exclude<Address, { readonly _tag: "Inherited" }>

const dial = (address: Reachable, { loopbackOnly = false }: ConnectOptions): net.Socket =>
  net
    .connect({
      ...(address._tag === "Tcp"
        ? {
            host: address.host,
            port: address.port,
            // Happy eyeballs: each address of the name in turn, v6 and v4 (RFC 8305).
            autoSelectFamily: true,
            autoSelectFamilyAttemptTimeout: limits.connectAttemptMillis,
            noDelay: true,
            keepAlive: true,
            keepAliveInitialDelay: limits.keepAliveDelayMillis,
            ...(loopbackOnly ? { lookup: lookUpHere } : {})
          }
        : { path: address.path }),
      allowHalfOpen: true,
      ...buffering
    })
    .pause()

/** Node knows the option, its types do not. */
const buffering = { highWaterMark: limits.writeBufferBytes } as const

/** What a name leads to is looked at before it is connected to, each time: it may be another machine's by now. */
const lookUpHere: net.LookupFunction = (host, options, callback) =>
  lookup(host, { ...options, all: true }, (error, all) => {
    const here = error === null && all.every(({ address }) => isLoopback(tcp(address, 0)))
    const refused =
      error ?? (here ? null : Object.assign(new Error("not this machine"), { code: elsewhere }))
    if (refused !== null || options.all === true) return callback(refused, all ?? [])
    callback(null, all[0]?.address ?? "", all[0]?.family)
  })
const elsewhere = "ELSEWHERE"

const connected = (socket: net.Socket, address: Reachable): Effect.Effect<void, ConnectFailed> =>
  asyncAtMost<void, ConnectFailed>(
    limits.connectDeadline,
    () => connectFailed(address, "ETIMEDOUT"),
    (resume) => {
      socket.once("error", (error: NodeJS.ErrnoException) =>
        resume(connectFailed(address, error.code ?? "UNKNOWN"))
      )
      socket.once("connect", () => resume(Effect.void))
    }
  )

const wireOf = (socket: net.Socket, peer: string): Wire => {
  // From the first moment on: an 'error' nobody listens to ends the process.
  socket.on("error", () => {})
  return {
    stream: socket,
    peer,
    ownsChunks: true,
    // Asked later: one that connects does not know it yet.
    get local() {
      const { localAddress, localPort } = socket
      return localAddress === undefined || localPort === undefined
        ? undefined
        : format(tcp(unmapped(localAddress), localPort))
    },
    reset: () => {
      // A Unix socket knows no reset. Nor does libuv while a FIN is on its way: it says EINVAL, and the handle would leak.
      const ending = socket.writableEnded && socket.writableLength === 0 && !socket.writableFinished
      if (ending || socket.remoteFamily === undefined) socket.destroy()
      else socket.resetAndDestroy()
    },
    endError: () => cut(socket),
    isResetByPeer: () => gone(socket)
  }
}

/**
 * libuv makes an end of a reset that comes with bytes before it: POLLHUP after a partial read (libuv 4997). The kernel still
 * knows, and one more read tells. Where there is no descriptor to ask (Windows) an end stays an end.
 */
const cut = (socket: Handled): Error | undefined =>
  refusal(socket, (fd) => readSync(fd, Buffer.alloc(1)))

/** Once the peer's stream has ended, libuv looks at the socket no more. The kernel knows of a reset that came later, and a write of nothing tells. */
const gone = (socket: Handled): boolean => {
  const error = socket.writableEnded
    ? undefined
    : refusal(socket, (fd) => writeSync(fd, Buffer.alloc(1), 0, 0))
  return error !== undefined && error.code !== "EAGAIN"
}

type Handled = net.Socket & { readonly _handle?: { readonly fd?: number } | null }

/** What the kernel says to a call. */
const refusal = (
  socket: Handled,
  call: (fd: number) => unknown
): NodeJS.ErrnoException | undefined => {
  const fd = socket._handle?.fd ?? -1
  if (fd < 0) return undefined
  try {
    call(fd)
    return undefined
  } catch (error) {
    return error instanceof Error ? error : undefined
  }
}

const peerOf = (socket: net.Socket, listening: Address): string | undefined => {
  if (listening._tag === "Unix") return `unix:${listening.path}`
  const { remoteAddress, remotePort } = socket
  // An inherited one may be of either kind; only a Unix socket has no family.
  if (listening._tag === "Inherited" && socket.remoteFamily === undefined && !socket.destroyed)
    return `unix:${format(listening)}`
  return remoteAddress === undefined || remotePort === undefined
    ? undefined
    : format(tcp(unmapped(remoteAddress), remotePort))
}

/** An IPv4 address inside of an IPv6 one is one of IPv4. */
const unmapped = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/, "")

type Newcomer = (socket: net.Socket) => void

const bound = (
  address: Address,
  newcomer: Newcomer
): Effect.Effect<net.Server, PortInUse | ListenFailed> =>
  Effect.catchTag(attemptToBind(address, newcomer), "PortInUse", (inUse) =>
    address._tag === "Unix"
      ? Effect.zipRight(removeStale(address.path, inUse), attemptToBind(address, newcomer))
      : inUse
  )

const attemptToBind = (
  address: Address,
  newcomer: Newcomer
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
      newcomer
    )
    const failed = (error: NodeJS.ErrnoException) =>
      resume(listenFailed(address, codeOf(error, address)))
    server.once("error", failed)
    server.once("listening", () => {
      server.off("error", failed)
      server.on("error", () => {})
      resume(Effect.succeed(server))
    })
    const place = placeOf(address)
    if (typeof place === "string")
      return resume(new ListenFailed({ address: format(address), detail: place }))
    // A Unix socket is bound inside this call: its file is 0600 from the first moment.
    const umask = address._tag === "Unix" ? process.umask(0o177) : undefined
    try {
      server.listen({ ...place, backlog: limits.backlog })
    } finally {
      if (umask !== undefined) process.umask(umask)
    }
    return Effect.sync(() => {
      server.close()
    })
  })

/** What node:net listens on; or why it cannot. */
const placeOf = (address: Address): net.ListenOptions | { readonly fd: number } | string => {
  if (address._tag === "Tcp") return { host: address.host, port: address.port }
  if (address._tag === "Unix") return { path: address.path }
  const fd =
    typeof address.socket === "number" ? address.socket : descriptorOf(address.socket, process.env)
  return typeof fd === "number" ? { fd } : fd
}

/** The descriptor that systemd passed under this name: sd_listen_fds_with_names(3). */
const descriptorOf = (
  name: string,
  { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES = "" }: NodeJS.ProcessEnv
): number | string => {
  if (LISTEN_PID !== String(process.pid))
    return "systemd passed no sockets to this process; is it started by a .socket unit?"
  const names = LISTEN_FDNAMES.split(":").slice(0, Number(LISTEN_FDS))
  const index = names.indexOf(name)
  return index >= 0
    ? 3 + index
    : `systemd passed no socket of that name; it passed ${names.map((known) => Printable.line(known)).join(", ")}`
}

/** libuv says EACCES, as Windows does, where the folder of a socket does not exist. */
const codeOf = ({ code = "UNKNOWN" }: NodeJS.ErrnoException, address: Address): string =>
  code === "EACCES" && address._tag === "Unix" && !existsSync(dirname(address.path))
    ? "ENOENT"
    : code

/** A socket file whose owner is gone blocks its path for ever. It goes when nobody answers behind it; anything else stays. */
const removeStale = (
  path: string,
  inUse: PortInUse
): Effect.Effect<void, PortInUse | ListenFailed> =>
  Effect.gen(function* () {
    const before = yield* Effect.try({ try: () => lstatSync(path), catch: () => inUse })
    if (!before.isSocket())
      return yield* new ListenFailed({
        address: inUse.address,
        detail: "a file that is not a socket is in the way; it was left as it is"
      })
    const answer = yield* probe(path)
    if (answer !== "ECONNREFUSED") return yield* inUse
    yield* Effect.try({
      // Only the file that was probed: another server may have been quicker, and may have got the same inode again.
      try: () => {
        const now = lstatSync(path)
        if (now.ino === before.ino && now.ctimeMs === before.ctimeMs) unlinkSync(path)
      },
      catch: () => inUse
    })
  })

/** The error code of a connection attempt, or "alive". */
const probe = (path: string): Effect.Effect<string> =>
  Effect.async((resume) => {
    const socket = net.connect({ path, timeout: limits.staleProbeMillis })
    const answer = (result: string) => {
      socket.destroy()
      resume(Effect.succeed(result))
    }
    socket.on("error", (error: NodeJS.ErrnoException) => answer(error.code ?? "UNKNOWN"))
    socket.once("connect", () => answer("alive"))
    socket.once("timeout", () => answer("alive"))
  })

const failures: Readonly<Record<string, ConnectFailure>> = {
  ECONNREFUSED: "refused",
  ETIMEDOUT: "timeout",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  EADDRNOTAVAIL: "unreachable",
  ENOTFOUND: "no such name",
  EAI_AGAIN: "no such name",
  ENOENT: "no such socket",
  ENOTSOCK: "no such socket",
  [elsewhere]: "elsewhere",
  EACCES: "permission",
  EPERM: "permission"
}

const connectFailed = (address: Address, code: string) =>
  new ConnectFailed({ address: format(address), reason: failures[code] ?? "other", code })

const listenHints: Readonly<Record<string, string>> = {
  EACCES:
    "this user may not; ports below 1024 are for root, and a socket needs a folder one may write to",
  EADDRNOTAVAIL: "that address is not one of this machine's",
  ENOTFOUND: "that name is not known",
  ENOENT: "its folder does not exist",
  EINVAL:
    "it is not usable for a socket: a path that is too long, or a descriptor that does not listen",
  EBADF: "no such descriptor is open",
  ENOTSOCK: "that descriptor is no socket"
}

const listenFailed = (address: Address, code: string): PortInUse | ListenFailed =>
  code === "EADDRINUSE"
    ? new PortInUse({ address: format(address) })
    : new ListenFailed({ address: format(address), detail: listenHints[code] ?? code })
