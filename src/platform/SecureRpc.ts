// @effect/rpc over the channel: each handler knows its caller by the caller's key, not by a header.
import { shown } from "../bytes/excerpt.ts"
import * as Headers from "@effect/platform/Headers"
import * as Socket from "@effect/platform/Socket"
import { SocketServer, type SocketServerError } from "@effect/platform/SocketServer"
import * as RpcClient from "@effect/rpc/RpcClient"
import {
  ResponseDefectEncoded,
  type FromClientEncoded,
  type FromServerEncoded,
  type RequestEncoded
} from "@effect/rpc/RpcMessage"
import * as RpcMiddleware from "@effect/rpc/RpcMiddleware"
import { RpcSerialization } from "@effect/rpc/RpcSerialization"
import * as RpcServer from "@effect/rpc/RpcServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { randomUUID } from "node:crypto"
import type { Transport } from "../transports/Transport.ts"
import { unrestricted } from "../peers/Rules.ts"
import { allowsRpc } from "../services/rpc/rules.ts"
import { CallMemory } from "./CallMemory.ts"
import { memoryOf, Peer, peerOf, type PeerShape } from "./Peer.ts"
import * as SecureSocket from "./SecureSocket.ts"
import * as SecureSocketServer from "./SecureSocketServer.ts"

/** The rules of the calling peer do not allow the call. The peer does not learn the rule. */
export class CallRefused extends Schema.TaggedError<CallRefused>()("CallRefused", {
  rpc: Schema.String
}) {
  override get message(): string {
    return (
      `${shown(this.rpc)} was refused: the server's rules for this key do not allow it; ` +
      `ask its administrator`
    )
  }
}

/**
 * Middleware that provides `Peer` to the handlers of an rpc or a group. A call that the rules of
 * its peer (`rpc=` in authorized_peers) do not allow fails with `CallRefused`. A call over another
 * protocol than SecureRpc's ends as a defect.
 *
 * @example
 * class Calls extends RpcGroup.make(
 *   Rpc.make("whoAmI", { success: Schema.String })
 * ).middleware(SecureRpc.WithPeer) {}
 * const handlers = Calls.toLayer({ whoAmI: () => Effect.map(Peer, ({ name }) => name) })
 * RpcServer.layer(Calls).pipe(
 *   Layer.provide([handlers, SecureRpc.layerWithPeer, SecureRpc.layerServer(options)])
 * )
 */
export class WithPeer extends RpcMiddleware.Tag<WithPeer>()("sealwire/platform/WithPeer", {
  provides: Peer,
  failure: CallRefused
}) {}

// Not a static member of the class: with one, @effect/rpc's types do not recognize the middleware,
// and the requirements of a server of the group become `any`.
/** Checks the rules for each call, and provides the peer to its handler. */
export const layerWithPeer: Layer.Layer<WithPeer> = Layer.succeed(
  WithPeer,
  WithPeer.of(({ headers, rpc }) =>
    Effect.suspend(() => {
      const peer = sessions.get(Option.getOrElse(Headers.get(headers, sessionHeader), () => ""))
      if (peer === undefined)
        return Effect.dieMessage(
          `${rpc._tag} was called over a protocol that does not authenticate peers`
        )
      return allowsRpc(peer.rules ?? unrestricted, rpc._tag)
        ? Effect.succeed(peer)
        : new CallRefused({ rpc: rpc._tag })
    })
  )
)

/** Prefix of the headers that only the server sets: those of a client are removed. */
const reserved = "x-peer-"
const sessionHeader = `${reserved}session`

/** The connected peers, by a random identifier that is sent to no client. */
const sessions = new Map<string, PeerShape>()

/** Provides a server protocol for peers whose keys are known. */
export const layerServer = (
  options: SecureSocketServer.Options
): Layer.Layer<RpcServer.Protocol, SocketServerError, RpcSerialization | Transport> =>
  Layer.provide(layerProtocol, SecureSocketServer.layer(options))

/**
 * Returns the error that answers a request instead of its handler; undefined to call the handler.
 */
type Refuse = (peer: PeerShape, tag: string) => CallRefused | undefined

const refuseNone: Refuse = () => undefined

const refuseByRules: Refuse = ({ rules }, rpc) =>
  allowsRpc(rules ?? unrestricted, rpc) ? undefined : new CallRefused({ rpc })

const protocol = (refuse: Refuse) =>
  Effect.gen(function* () {
    const server = yield* SocketServer
    const serialization = yield* RpcSerialization
    const disconnects = yield* Mailbox.make<number>()
    const clients = new Map<number, (response: FromServerEncoded) => Effect.Effect<void>>()
    const clientIds = new Set<number>()
    let nextClient = 0

    const serve = (
      socket: Socket.Socket,
      receive: (client: number, message: FromClientEncoded) => Effect.Effect<void>
    ) =>
      Effect.gen(function* () {
        const peer = peerOf(socket)
        const memory = memoryOf(socket)
        if (peer === undefined || memory === undefined)
          return yield* Effect.dieMessage("SecureRpc requires the sockets of SecureSocketServer")
        const callMemory = new CallMemory(memory)
        const client = nextClient++
        const session = randomUUID()
        const parser = serialization.unsafeMake()
        const write = yield* socket.writer
        const headers: ReadonlyArray<[string, string]> = [
          [sessionHeader, session],
          [`${reserved}name`, peer.name]
        ]
        const handle = (message: FromClientEncoded, bytes: number) => {
          const refused = message._tag === "Request" ? refuse(peer, message.tag) : undefined
          if (
            refused === undefined &&
            message._tag === "Request" &&
            !callMemory.begin(String(message.id), bytes)
          )
            return write(new Socket.CloseEvent(1008, "too many calls in progress"))
          if (refused === undefined) return receive(client, withHeaders(message, headers))
          const encoded = encode(parser, refusal(message as RequestEncoded, refused))
          return encoded === undefined ? Effect.void : Effect.ignore(write(encoded))
        }
        sessions.set(session, peer)
        clientIds.add(client)
        clients.set(client, (response) =>
          Effect.suspend(() => {
            if (response._tag === "Exit") callMemory.end(String(response.requestId))
            const encoded = encode(parser, response)
            // A failed write means that the client has disconnected.
            return encoded === undefined ? Effect.void : Effect.ignore(write(encoded))
          })
        )
        yield* Effect.addFinalizer(() => {
          sessions.delete(session)
          clientIds.delete(client)
          clients.delete(client)
          return disconnects.offer(client)
        })
        yield* socket
          .runRaw((data) => {
            const decoded = decode(parser, data)
            if (decoded === undefined)
              return write(new Socket.CloseEvent(1007, "not an rpc message"))
            const received = callMemory.receive(data.length, decoded.length > 0)
            if (received === undefined)
              return write(new Socket.CloseEvent(1009, "too much memory for one peer"))
            const bytes = received / Math.max(1, decoded.length)
            return Effect.forEach(decoded, (message) => handle(message, bytes), { discard: true })
          })
          .pipe(Effect.catchAll(({ message }) => Effect.logDebug(`${peer.name}: ${message}`)))
      }).pipe(Effect.scoped)

    return yield* RpcServer.Protocol.make((receive) =>
      Effect.gen(function* () {
        yield* Effect.forkScoped(
          Effect.interruptible(server.run((socket) => serve(socket, receive)))
        )
        return {
          disconnects,
          send: (client, response) => clients.get(client)?.(response) ?? Effect.void,
          end: () => Effect.void,
          clientIds: Effect.sync(() => clientIds),
          initialMessage: Effect.succeedNone,
          supportsAck: true,
          supportsTransferables: false,
          supportsSpanPropagation: true
        }
      })
    )
  })

/**
 * As `layerServer`, over the SocketServer of the context. It must be SecureSocketServer's: the
 * sockets of another have no peer.
 */
export const layerProtocol: Layer.Layer<
  RpcServer.Protocol,
  never,
  RpcSerialization | SocketServer
> = Layer.scoped(RpcServer.Protocol, protocol(refuseNone))

/**
 * As `layerProtocol`, for groups without `WithPeer`, such as those of a library. A call that the
 * rules of its peer do not allow reaches no handler, and ends at the peer as a defect with the
 * message of `CallRefused`.
 */
export const layerProtocolByRules: Layer.Layer<
  RpcServer.Protocol,
  never,
  RpcSerialization | SocketServer
> = Layer.scoped(RpcServer.Protocol, protocol(refuseByRules))

/** Provides a client protocol that reconnects when the connection is lost. */
export const layerClient = (
  options: SecureSocket.Options
): Layer.Layer<RpcClient.Protocol, never, RpcSerialization | Transport> =>
  Layer.provide(RpcClient.layerProtocolSocket(), SecureSocket.layer(options))

type Parser = ReturnType<RpcSerialization["Type"]["unsafeMake"]>

/** Returns undefined for malformed data. */
const decode = (
  parser: Parser,
  data: string | Uint8Array
): ReadonlyArray<FromClientEncoded> | undefined => {
  try {
    return parser.decode(data) as ReadonlyArray<FromClientEncoded>
  } catch {
    return undefined
  }
}

/** Encodes a defect instead of a response that cannot be encoded. */
const encode = (parser: Parser, response: FromServerEncoded) => {
  try {
    return parser.encode(response)
  } catch (cause) {
    return parser.encode(ResponseDefectEncoded(cause))
  }
}

const refusal = ({ id }: RequestEncoded, cause: CallRefused): FromServerEncoded => ({
  _tag: "Exit",
  requestId: id,
  exit: {
    _tag: "Failure",
    cause: { _tag: "Die", defect: { name: cause._tag, message: cause.message } }
  }
})

/** Replaces the reserved headers of a request by those of the authenticated peer. */
const withHeaders = (
  message: FromClientEncoded,
  headers: ReadonlyArray<[string, string]>
): FromClientEncoded =>
  message._tag === "Request"
    ? {
        ...message,
        headers: [
          ...message.headers.filter(([name]) => !name.toLowerCase().startsWith(reserved)),
          ...headers
        ]
      }
    : message
