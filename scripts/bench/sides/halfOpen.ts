// Strangers that connect and send nothing, each from an address of its own in 127.0.0.0/8: a limit
// for each source must not stop them.
import net from "node:net"

/** Connections that are kept half open. */
const count = 5000
/** The pause before a connection that the server has closed is opened again. */
const reopenMillis = 50

/**
 * Opens the connections and reopens those that the server closes, until it is stopped; `stop`
 * returns how many were open then.
 */
export const openHalf = async (port: number): Promise<{ readonly stop: () => number }> => {
  const open = new Set<net.Socket>()
  let [stopped, tried] = [false, 0]
  let ready = () => {}
  const settled = new Promise<void>((resolve) => (ready = resolve))
  const connect = (index: number): void => {
    if (stopped) return
    const localAddress = `127.1.${index >> 8}.${index & 0xff}`
    const socket = net.connect({ port, host: "127.0.0.1", localAddress })
    let counted = false
    const settle = () => {
      if (!counted && ++tried === count) ready()
      counted = true
    }
    socket.on("connect", () => {
      open.add(socket)
      settle()
    })
    socket.on("error", settle)
    socket.on("close", () => {
      open.delete(socket)
      settle()
      setTimeout(connect, reopenMillis, index).unref()
    })
    socket.resume()
  }
  for (let index = 0; index < count; index++) connect(index)
  await settled
  return {
    stop: () => {
      const held = open.size
      stopped = true
      for (const socket of open) socket.destroy()
      return held
    }
  }
}
