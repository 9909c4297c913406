import { connectSocket, listenSockets } from "./sockets.ts"
import { overStreams } from "./streams.ts"

/** No protection at all: what the sockets themselves cost. */
export const net = overStreams({ listen: listenSockets, connect: connectSocket })
