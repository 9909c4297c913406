// A chat service on the channel: every line goes to every other client in the same room.
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import {
  Channel,
  ChannelTampered,
  dial,
  Metrics,
  OptionSpec,
  RefusedByRules,
  type DialOptions,
  type Service
} from "sealwire"

export const limits = {
  /** Longest line in bytes; a control message has at most 4096. */
  lineBytes: 1024,
  /** Lines that wait for a slow client; the oldest are dropped beyond. */
  pendingLines: 64
} as const

/**
 * The number of lines that a client may say in a minute: `lines-per-minute="20"` in
 * authorized_peers.
 */
export const linesPerMinute = OptionSpec.count({
  name: "lines-per-minute",
  example: "20",
  summary: "how many lines it may say in a minute"
})

/** The metrics of the service, by the names of its session counters. */
export const metrics = {
  lines: Metrics.counter("chat_lines_total", "Lines that were said.")
} as const

/** The part of the service that a parser of authorized_peers needs. */
export const chat = { name: "chat", ruleOptions: [linesPerMinute] } as const

/** Makes the service. A client opens it with `chat ROOM`; each line is one control message. */
export const service = (): Service => {
  const rooms = new Map<string, Set<Queue.Queue<string>>>()
  return {
    ...chat,
    takesArgument: true,
    about: (room) => room,
    run: ({ channel, argument, remote, counters, peerSession, connection }) =>
      Effect.gen(function* () {
        const lines = yield* Queue.sliding<string>(limits.pendingLines)
        const count = Metrics.sessionCounter(metrics, counters)
        const room = rooms.get(argument) ?? new Set()
        rooms.set(argument, room.add(lines))
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            room.delete(lines)
            if (room.size === 0) rooms.delete(argument)
          })
        )
        yield* channel.sendControl(encode(`welcome to ${argument}, ${remote.peer}`))
        yield* Effect.forkScoped(
          Effect.forever(
            Effect.flatMap(Queue.take(lines), (line) => channel.sendControl(encode(line)))
          )
        )
        // A server that stops lets each session end its stream.
        yield* Effect.forkScoped(Effect.zipRight(connection.draining, channel.interruptRead))
        for (let item = yield* channel.read; item !== undefined; item = yield* channel.read) {
          const line = item instanceof Channel.Control ? decode(item.body) : undefined
          if (line === undefined || Buffer.byteLength(line) > limits.lineBytes)
            return yield* new ChannelTampered({ peer: remote.peer, detail: "invalid chat line" })
          const allowance = peerSession?.allowance(linesPerMinute)
          if (allowance !== undefined && allowance.left < 1)
            return yield* new RefusedByRules({
              peer: remote.peer,
              reason: "it exceeds its lines per minute"
            })
          allowance?.spend(1)
          count("lines", 1)
          for (const other of room)
            if (other !== lines) yield* other.offer(`${remote.peer}: ${line}`)
        }
        return yield* channel.end
      })
  }
}

/** A client in a room. */
export interface ChatClient {
  readonly say: (line: string) => ReturnType<Channel.Channel["sendControl"]>
  /** The next line of another client; undefined after the server's end. */
  readonly next: Effect.Effect<string | undefined, Effect.Effect.Error<Channel.Channel["read"]>>
}

/** Joins a room, until the scope closes. */
export const join = (options: DialOptions<never, never>, room: string) =>
  Effect.map(dial(options, `${chat.name} ${room}`), (channel): ChatClient => ({
    say: (line) => channel.sendControl(encode(line)),
    next: Effect.map(channel.read, (item) =>
      item instanceof Channel.Control ? decode(item.body) : undefined
    )
  }))

const encode = (line: string): Uint8Array => Buffer.from(line)

/** Returns undefined for an empty line, control characters, and invalid UTF-8. */
const decode = (body: Uint8Array): string | undefined => {
  if (body.length === 0) return undefined
  try {
    const line = new TextDecoder("utf-8", { fatal: true }).decode(body)
    return /\p{Cc}/u.test(line) ? undefined : line
  } catch {
    return undefined
  }
}
