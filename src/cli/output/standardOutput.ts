import * as Effect from "effect/Effect"
import { isClosed } from "../../transports/standardStreams.ts"
import { Streams } from "../Streams.ts"

/** False when the process was started without a standard output (`>&-`). */
export const isOpen: Effect.Effect<boolean> = Effect.map(
  Streams,
  ({ descriptors }) => descriptors.stdout === undefined || !isClosed(descriptors.stdout)
)
