// Connecting to a name with several addresses, as RFC 8305 (Happy Eyeballs) describes: attempts
// start one after the other and keep running beside each other. (Node's own autoSelectFamily aborts
// each attempt when the next one starts, so that a slow host with one dead address fails for ever.)
import dns from "node:dns"
import net from "node:net"
import { isLoopbackHost } from "./Address.ts"
import { limits } from "./limits.ts"

/** The code of a name that leads to another machine, with `loopbackOnly`. */
export const elsewhere = "ELSEWHERE"

/** The code of getaddrinfo when no name server answers. */
export const nameServerSilent = "EAI_AGAIN"

/** Opens a socket to one address, which is not connected yet. */
type Open = (host: string) => net.Socket

type Done = (result: net.Socket | NodeJS.ErrnoException) => void

export interface AttemptOptions {
  readonly host: string
  /** Fails unless every address of the name is one of this machine. */
  readonly loopbackOnly: boolean
  readonly open: Open
  /** Called when the addresses of the host are known. */
  readonly onResolved: () => void
}

/**
 * Calls `done` once, with the first socket that is connected or with the most telling error.
 * Returns a function that ends all attempts and destroys every socket, also the first.
 */
export const connectToName = (
  { host, loopbackOnly, open, onResolved }: AttemptOptions,
  done: Done
): (() => void) => {
  if (net.isIP(host) !== 0) {
    onResolved()
    return connectToFirst([host], open, done)
  }
  let isCancelled = false
  let cancel = (): void => {
    isCancelled = true
  }
  // Not once for all connections: the addresses of a name can change between a check and the
  // connection (DNS rebinding).
  dns.lookup(host, { all: true }, (error, found) => {
    if (isCancelled) return
    if (error !== null) return done(error)
    onResolved()
    if (loopbackOnly && !found.every(({ address }) => isLoopbackHost(address)))
      return done(Object.assign(new Error("not a loopback address"), { code: elsewhere }))
    cancel = connectToFirst(inOrder(found), open, done)
  })
  return () => cancel()
}

/** Alternates the families, the first one first (RFC 8305 section 4); at most `connectAddresses`. */
const inOrder = (found: ReadonlyArray<dns.LookupAddress>): ReadonlyArray<string> => {
  const first = found.filter(({ family }) => family === found[0]?.family)
  const others = found.filter(({ family }) => family !== found[0]?.family)
  return Array.from({ length: Math.max(first.length, others.length) }, (_, index) => [
    first[index],
    others[index]
  ])
    .flat()
    .flatMap((one) => (one === undefined ? [] : [one.address]))
    .slice(0, limits.connectAddresses)
}

/**
 * Connects to the first of these hosts (or paths) that answers, as `connectToName` does for the
 * addresses of a name.
 */
export const connectToFirst = (
  hosts: ReadonlyArray<string>,
  open: Open,
  done: Done
): (() => void) => {
  const sockets = new Set<net.Socket>()
  const errors: Array<NodeJS.ErrnoException> = []
  let next = 0
  let timer: NodeJS.Timeout | undefined

  const endOthers = (winner?: net.Socket) => {
    clearTimeout(timer)
    next = hosts.length
    for (const socket of sockets) if (socket !== winner) socket.destroy()
  }
  const startNext = () => {
    clearTimeout(timer)
    const host = hosts[next++]
    if (host === undefined) return
    const socket = open(host)
    sockets.add(socket)
    // It stays: an 'error' event without a listener ends the process.
    socket.on("error", () => {})
    socket.once("connect", () => {
      if (!socket.destroyed) {
        endOthers(socket)
        done(socket)
      }
    })
    socket.once("error", (error) => {
      sockets.delete(socket)
      errors.push(error)
      if (next < hosts.length) startNext()
      else if (sockets.size === 0) done(mostTelling(errors))
    })
    if (next < hosts.length) timer = setTimeout(startNext, limits.connectAttemptMillis)
  }
  if (hosts.length === 0) done(mostTelling([]))
  startNext()
  return endOthers
}

/**
 * Connects to a Unix socket as `connectToFirst` does to a host. The kernel does not wait while the
 * queue of connections is full, as it does for TCP; this tries again until it is cancelled.
 */
export const connectToSocket = (open: () => net.Socket, done: Done): (() => void) => {
  let timer: NodeJS.Timeout | undefined
  let cancel = (): void => {}
  const start = () => {
    cancel = connectToFirst([""], open, (result) => {
      if (result instanceof net.Socket || result.code !== "EAGAIN") return done(result)
      timer = setTimeout(start, limits.fullQueuePauseMillis)
    })
  }
  start()
  return () => {
    clearTimeout(timer)
    cancel()
  }
}

/** A refusal shows that the host is there; of other errors the last. */
const mostTelling = (errors: ReadonlyArray<NodeJS.ErrnoException>): NodeJS.ErrnoException =>
  errors.find(({ code }) => code === "ECONNREFUSED") ??
  errors.at(-1) ??
  Object.assign(new Error("the name has no address"), { code: "ENOTFOUND" })
