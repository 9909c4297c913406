// @effect/rpc over the channel: every handler knows who calls, by a key and not by a header.
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
import * as Rules from "../peers/Rules.ts"
import { Peer, peerOf, type PeerShape } from "./Peer.ts"
import * as SecureSocket from "./SecureSocket.ts"
import * as SecureSocketServer from "./SecureSocketServer.ts"

/** The peer's rules do not allow it this call. Why, it is not told. */
export class CallRefused extends Schema.TaggedError<CallRefused>()("CallRefused", {
  rpc: Schema.String
}) {
  override get message(): string {
    return `${this.rpc} was refused: the server's rules for our key do not allow it; ask who runs it`
  }
}

/**
 * For an rpc, or a group of them, whose handlers `yield* Peer`. Calls that the rules of their peer do not allow (`rpc=` in authorized_peers) fail with
 * `CallRefused`; calls that came by any other protocol than SecureRpc's end as a defect.
 *
 * @example
 * class Calls extends RpcGroup.make(Rpc.make("whoAmI", { success: Schema.String })).middleware(SecureRpc.WithPeer) {}
 * const handlers = Calls.toLayer({ whoAmI: () => Effect.map(Peer, ({ name }) => name) })
 * RpcServer.layer(Calls).pipe(Layer.provide([handlers, SecureRpc.layerWithPeer, SecureRpc.layerServer(options)]))
 */
export class WithPeer extends RpcMiddleware.Tag<WithPeer>()("sealwire/platform/WithPeer", {
  provides: Peer,
  failure: CallRefused
}) {}

// No static of the class: with one @effect/rpc's types take the middleware for none, and the needs of a server of the group become `any`.
/** Looks at the rules for each call, and gives its handler the peer. */
export const layerWithPeer: Layer.Layer<WithPeer> = Layer.succeed(
  WithPeer,
  WithPeer.of(({ headers, rpc }) =>
    Effect.suspend(() => {
      const peer = sessions.get(Option.getOrElse(Headers.get(headers, sessionHeader), () => ""))
      if (peer === undefined)
        return Effect.dieMessage(`${rpc._tag} came by a protocol that proves no peer`)
      return Rules.allowsRpc(peer.rules ?? {}, rpc._tag)
        ? Effect.succeed(peer)
        : new CallRefused({ rpc: rpc._tag })
    })
  )
)

/** What a client says under these names is thrown away. */
const reserved = "x-peer-"
const sessionHeader = `${reserved}session`

/** Who is in, by a name that no client is told. */
const sessions = new Map<string, PeerShape>()

/** A server of rpcs for peers whose key is known. */
export const layerServer = (
  options: SecureSocketServer.Options
): Layer.Layer<RpcServer.Protocol, SocketServerError, RpcSerialization | Transport> =>
  Layer.provide(layerProtocol, SecureSocketServer.layer(options))

/** Why a request is answered with this defect, and not heard; undefined when it is heard. */
type Refuse = (peer: PeerShape, tag: string) => CallRefused | undefined

const refuseNone: Refuse = () => undefined

const refuseByRules: Refuse = ({ rules }, rpc) =>
  Rules.allowsRpc(rules ?? {}, rpc) ? undefined : new CallRefused({ rpc })

const protocol = (refuse: Refuse) =>
  Effect.gen(function* () {
    const server = yield* SocketServer
    const serialization = yield* RpcSerialization
    const disconnects = yield* Mailbox.make<number>()
    const clients = new Map<number, (response: FromServerEncoded) => Effect.Effect<void>>()
    const clientIds = new Set<number>()
    let last = 0

    const attend = (
      socket: Socket.Socket,
      hear: (client: number, message: FromClientEncoded) => Effect.Effect<void>
    ) =>
      Effect.gen(function* () {
        const peer = peerOf(socket)
        if (peer === undefined)
          return yield* Effect.dieMessage("SecureRpc needs the sockets of SecureSocketServer")
        const client = last++
        const session = randomUUID()
        const parser = serialization.unsafeMake()
        const write = yield* socket.writer
        const own: ReadonlyArray<[string, string]> = [
          [sessionHeader, session],
          [`${reserved}name`, peer.name]
        ]
        const heard = (message: FromClientEncoded) => {
          const refused = message._tag === "Request" ? refuse(peer, message.tag) : undefined
          if (refused === undefined) return hear(client, named(message, own))
          const encoded = encode(parser, refusal(message as RequestEncoded, refused))
          return encoded === undefined ? Effect.void : Effect.ignore(write(encoded))
        }
        sessions.set(session, peer)
        clientIds.add(client)
        clients.set(client, (response) =>
          Effect.suspend(() => {
            const encoded = encode(parser, response)
            // Who has gone needs no answer.
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
              return write(new Socket.CloseEvent(1007, "this is no message of rpc"))
            return Effect.forEach(decoded, (message) => heard(message), { discard: true })
          })
          .pipe(Effect.catchAll(({ message }) => Effect.logDebug(`${peer.name}: ${message}`)))
      }).pipe(Effect.scoped)

    return yield* RpcServer.Protocol.make((hear) =>
      Effect.gen(function* () {
        yield* Effect.forkScoped(Effect.interruptible(server.run((socket) => attend(socket, hear))))
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

/** The same over a SocketServer that is there: SecureSocketServer's, since what comes by another one has no peer. */
export const layerProtocol: Layer.Layer<
  RpcServer.Protocol,
  never,
  RpcSerialization | SocketServer
> = Layer.scoped(RpcServer.Protocol, protocol(refuseNone))

/**
 * The same for groups that have not `WithPeer`, such as those of a library: a call that the rules of its peer do not allow is not heard,
 * and ends at the peer as a defect with the words of `CallRefused`.
 */
export const layerProtocolByRules: Layer.Layer<
  RpcServer.Protocol,
  never,
  RpcSerialization | SocketServer
> = Layer.scoped(RpcServer.Protocol, protocol(refuseByRules))

/** A client of rpcs, which connects again when the connection is lost. */
export const layerClient = (
  options: SecureSocket.Options
): Layer.Layer<RpcClient.Protocol, never, RpcSerialization | Transport> =>
  Layer.provide(RpcClient.layerProtocolSocket(), SecureSocket.layer(options))

type Parser = ReturnType<RpcSerialization["Type"]["unsafeMake"]>

/** Undefined for what is no message. */
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

/** What cannot be encoded is told as a defect. */
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

/** A request with the headers that say who sent it, and none that pretends to. */
const named = (
  message: FromClientEncoded,
  own: ReadonlyArray<[string, string]>
): FromClientEncoded =>
  message._tag === "Request"
    ? {
        ...message,
        headers: [
          ...message.headers.filter(([name]) => !name.toLowerCase().startsWith(reserved)),
          ...own
        ]
      }
    : message
