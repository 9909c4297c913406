// Whether a channel may carry another session. TUNNEL.md section 4.
import type { Channel } from "../channel/Channel.ts"
import type { Accepted } from "../transports/Acceptor.ts"
import { limits } from "./limits.ts"

/** The server's keys at this moment: those that have not retired. */
type Keys = ReadonlyArray<{ readonly publicKey: Uint8Array }>

/** True unless the key that the server has shown in the handshake has retired since. */
export const holdsKey = ({ ownKey }: Pick<Channel, "ownKey">, keys: Keys): boolean =>
  ownKey === undefined || keys.some(({ publicKey }) => Buffer.compare(publicKey, ownKey) === 0)

/**
 * Returns why a channel of this age carries no further session, as the reason of its CLOSE;
 * undefined if it may.
 */
export const refuseNext = (
  channel: Pick<Channel, "ownKey" | "flow">,
  connection: Pick<Accepted, "onDraining">,
  { ageMillis, keys }: { readonly ageMillis: number; readonly keys: Keys }
): "Done" | "GoingAway" | undefined => {
  // The client may have closed it meanwhile, which is no failure of a session.
  if (channel.flow.writeError() !== undefined) return "Done"
  if (isDraining(connection)) return "GoingAway"
  return ageMillis >= limits.reuseMillis || !holdsKey(channel, keys) ? "Done" : undefined
}

const isDraining = (connection: Pick<Accepted, "onDraining">): boolean => {
  let draining = false
  // Called at once if the listener is closing.
  connection.onDraining(() => (draining = true))()
  return draining
}
