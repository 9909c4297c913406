import { connectSocket, listenSockets } from "./sockets.ts"
import { overStreams } from "./streams.ts"

/** Plain TCP: the cost of the sockets themselves. */
export const net = overStreams({ listen: listenSockets, connect: connectSocket })
