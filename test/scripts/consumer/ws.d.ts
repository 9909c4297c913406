// @effect/platform-node, whose WebSockets the example websocket uses, names types that it does not
// bring: npm install -D @types/ws.
declare module "ws" {
  export const WebSocket: unknown
  export interface ServerOptions<U = unknown, V = unknown> {
    readonly host?: string
    readonly port?: number
    readonly WebSocket?: U
    readonly IncomingMessage?: V
  }
}
