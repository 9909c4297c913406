// TCP and Unix sockets on node:net.
import { readSync, writeSync } from "node:fs"
import net from "node:net"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import { acceptor, type Handler, type ListenOptions } from "./Acceptor.ts"
import { format, parseUnix, tcp, unix, type Address } from "./Address.ts"
import { bind, buffering, close, identityOf } from "./Bind.ts"
import { fromWire, type Connection, type Wire } from "./Connection.ts"
import {
  connectToName,
  connectToSocket,
  elsewhere,
  nameServerSilent,
  type AttemptOptions
} from "./ConnectAttempts.ts"
import { asyncAtMost } from "./Deadline.ts"
import { limits } from "./limits.ts"
import * as SharedReads from "./SharedReads.ts"
import type { ConnectOptions, Transport } from "./Transport.ts"
import { ConnectFailed, ListenFailed, type ConnectFailure } from "./TransportErrors.ts"

/** What a program may choose about sockets. */
export interface NetOptions {
  /** Reads into the shared buffer. Default: where Node can. For tests of the other way. */
  readonly sharesReads?: boolean
}

/** Makes the transport of TCP and Unix sockets. */
export const make = ({
  sharesReads = SharedReads.isPossible
}: NetOptions = {}): Transport.Shape => ({
  connect: (address, options = {}) => connectWith(address, options, sharesReads),
  listen: (address, handler, options) => listenWith(address, handler, options, sharesReads)
})

const connectWith = (
  address: Address,
  options: ConnectOptions,
  sharesReads: boolean
): Effect.Effect<Connection, ConnectFailed, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      if (address._tag === "Inherited")
        return yield* new ConnectFailed({
          address: format(address),
          reason: "inherited",
          code: "EINVAL"
        })
      if (address._tag === "Unix" && Either.isLeft(parseUnix(address.path)))
        return yield* connectFailed(address, "ENAMETOOLONG")
      let cancel = () => {}
      // A Unix socket has no network in which a connection could get lost.
      let timeoutCode = address._tag === "Unix" ? queueFull : nameServerSilent
      const onResolved = () => (timeoutCode = "ETIMEDOUT")
      const socket = yield* Effect.onError(
        restore(
          asyncAtMost<net.Socket, ConnectFailed>(
            limits.connectDeadline,
            () => connectFailed(address, timeoutCode),
            (resume) => {
              cancel = attempt(address, { ...options, onResolved }, sharesReads, (result) =>
                resume(
                  result instanceof net.Socket
                    ? Effect.succeed(result)
                    : connectFailed(address, result.code ?? "UNKNOWN")
                )
              )
            }
          )
        ),
        // Also after an interruption that came when the socket was just connected.
        () => Effect.sync(() => cancel())
      )
      return yield* fromWire(new SocketWire(socket, format(address), sharesReads))
    })
  )

/** A connection over a connected socket that this process inherited. */
export const fromSocket = (
  socket: net.Socket,
  peer: string
): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.suspend(() => fromWire(new SocketWire(socket, peer, false)))

const listenWith = <R>(
  requested: Address,
  handler: Handler<R>,
  options: ListenOptions | undefined,
  sharesReads: boolean
) =>
  Effect.gen(function* () {
    const address: Address =
      requested._tag === "Unix"
        ? yield* Either.mapLeft(
            parseUnix(requested.path),
            ({ detail }) => new ListenFailed({ address: format(requested), detail })
          )
        : requested
    // Finalizers run in reverse order: the server socket closes first, then connections drain.
    const { accept, halfOpen } = yield* acceptor(handler, options)
    const onConnection = (socket: net.Socket) => {
      const peer = peerAddress(socket, address)
      // The peer's address is unknown when it has already disconnected.
      if (peer === undefined) socket.destroy()
      else {
        const adopted = sharesReads ? SharedReads.adopt(socket, socketOptions) : undefined
        accept(new SocketWire(adopted ?? socket, peer, adopted !== undefined))
      }
    }
    // Binding can be interrupted: it may have to resolve a name.
    const server = yield* Effect.uninterruptibleMask((restore) =>
      Effect.tap(restore(bind(address, onConnection)), (bound) => {
        const identity = identityOf(address)
        return Effect.addFinalizer(() => Effect.sync(() => close(bound, address, identity)))
      })
    )
    const bound = server.address()
    const isTcp = typeof bound === "object" && bound !== null
    return {
      address: address._tag === "Tcp" && isTcp ? tcp(address.host, bound.port) : address,
      // An inherited Unix socket has no path here.
      boundAddress: isTcp ? tcp(bound.address, bound.port) : address,
      halfOpen
    }
  })

type Connectable = Exclude<Address, { readonly _tag: "Inherited" }>

const socketOptions = { allowHalfOpen: true, ...buffering }

/** Connects; calls `done` once, and returns a function that destroys what is open. */
const attempt = (
  address: Connectable,
  { loopbackOnly = false, onResolved }: ConnectOptions & Pick<AttemptOptions, "onResolved">,
  sharesReads: boolean,
  done: (result: net.Socket | NodeJS.ErrnoException) => void
): (() => void) => {
  const reads = sharesReads ? SharedReads.connecting : {}
  return address._tag === "Unix"
    ? connectToSocket(
        () => net.connect({ path: unix(address.path).path, ...socketOptions, ...reads }).pause(),
        done
      )
    : connectToName(
        {
          host: address.host,
          loopbackOnly,
          onResolved,
          open: (host) =>
            net
              .connect({
                host,
                port: address.port,
                noDelay: true,
                keepAlive: true,
                keepAliveInitialDelay: limits.keepAliveDelayMillis,
                ...socketOptions,
                ...reads
              })
              .pause()
        },
        done
      )
}

/** A socket as a wire: one object, because a server has many. */
class SocketWire implements Wire {
  readonly stream: net.Socket
  readonly peer: string
  readonly sharesReads: boolean
  readonly ownsChunks = true

  constructor(socket: net.Socket, peer: string, sharesReads: boolean) {
    // Added at once: an 'error' event without a listener ends the process.
    socket.on("error", ignore)
    this.stream = socket
    this.peer = peer
    this.sharesReads = sharesReads
  }

  /** Read on demand: a socket that is still connecting has no local address yet. */
  get local(): string | undefined {
    const { localAddress, localPort } = this.stream
    return localAddress === undefined || localPort === undefined
      ? undefined
      : formatOf(localAddress, localPort)
  }

  reset(): void {
    const socket = this.stream
    // Unix sockets have no reset. While a FIN is in flight libuv fails a reset with EINVAL, and
    // the handle would leak.
    const ending = socket.writableEnded && socket.writableLength === 0 && !socket.writableFinished
    if (ending || socket.remoteFamily === undefined) socket.destroy()
    else socket.resetAndDestroy()
  }

  endError(): Error | undefined {
    return endError(this.stream)
  }

  isResetByPeer(): boolean {
    return isResetByPeer(this.stream)
  }
}

const ignore = () => {}

/**
 * Reports a reset that libuv has presented as an end. When bytes precede a reset, libuv sees
 * POLLHUP after a partial read and emits an end (libuv issue 4997); one more read returns the
 * error. Without a file descriptor (Windows) the end cannot be checked.
 */
const endError = (socket: SocketWithHandle): Error | undefined =>
  errorOf(socket, (fd) => readSync(fd, Buffer.alloc(1)))

/**
 * Detects a reset after the peer's stream has ended: libuv no longer polls the socket then, but an
 * empty write returns the error.
 */
const isResetByPeer = (socket: SocketWithHandle): boolean => {
  const error = socket.writableEnded
    ? undefined
    : errorOf(socket, (fd) => writeSync(fd, Buffer.alloc(1), 0, 0))
  return error !== undefined && error.code !== "EAGAIN"
}

type SocketWithHandle = net.Socket & { readonly _handle?: { readonly fd?: number } | null }

/** Makes a system call on the socket's descriptor; returns its error, if any. */
const errorOf = (
  socket: SocketWithHandle,
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

const peerAddress = (socket: net.Socket, listening: Address): string | undefined => {
  if (listening._tag === "Unix") return `unix:${listening.path}`
  const { remoteAddress, remotePort } = socket
  // An inherited socket may be TCP or Unix; only a Unix socket has no address family.
  if (listening._tag === "Inherited" && socket.remoteFamily === undefined && !socket.destroyed)
    return `unix:${format(listening)}`
  return remoteAddress === undefined || remotePort === undefined
    ? undefined
    : formatOf(remoteAddress, remotePort)
}

/** Formats the address of a socket; those of IPv4 are in their canonical form already. */
const formatOf = (address: string, port: number): string => {
  const host = unmapped(address)
  return net.isIPv4(host) ? `${host}:${port}` : format(tcp(host, port))
}

/** Converts an IPv4-mapped IPv6 address to IPv4. */
const unmapped = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/, "")

/** The code with which connecting to a Unix socket fails while its queue of connections is full. */
const queueFull = "EAGAIN"

const failures: Readonly<Record<string, ConnectFailure>> = {
  ECONNREFUSED: "refused",
  ECONNRESET: "reset",
  ETIMEDOUT: "timeout",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  EADDRNOTAVAIL: "unreachable",
  ENOTFOUND: "no such name",
  [nameServerSilent]: "no name server",
  ENOENT: "no such socket",
  ENOTSOCK: "no such socket",
  ENAMETOOLONG: "no possible socket",
  [queueFull]: "queue full",
  [elsewhere]: "elsewhere",
  EACCES: "permission",
  EPERM: "permission"
}

/** The error for a code of the system. */
export const connectFailed = (address: Address, code: string): ConnectFailed =>
  new ConnectFailed({ address: format(address), reason: failures[code] ?? "other", code })

/** Transport.Shape over the sockets of this system. */
export const { connect, listen } = make()
