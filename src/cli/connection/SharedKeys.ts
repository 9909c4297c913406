// The shared keys of a server. There may be several, so that clients can change keys one by one.
import { shown } from "../../bytes/excerpt.ts"
import * as Flag from "../arguments/Flag.ts"
import * as Effect from "effect/Effect"
import type { NamedSharedKey } from "../../channel/HandshakeKeys.ts"
import { limits as channelLimits } from "../../channel/limits.ts"
import type { KeyCreateError, KeyLoadError } from "../../keys/KeyErrors.ts"
import { SharedKey } from "../../keys/KeyKind.ts"
import { KeyStore } from "../../keys/KeyStore.ts"
import { isName } from "../../peers/PeerName.ts"
import { OptionsConflict, optionError, sharedKeyFile } from "../arguments/options.ts"
import { Event } from "../output/events/index.ts"

/** A shared key by its location, and its name on this server. */
export interface Named {
  readonly name?: string
  readonly reference: string
}

/** Parses `NAME=KEY`. A path that contains = must begin with ./ or another folder. */
const parseNamed = (text: string): Named => {
  const at = text.indexOf("=")
  const name = text.slice(0, Math.max(0, at))
  return isName(name) ? { name, reference: text.slice(at + 1) } : { reference: text }
}

const faultOf = (keys: ReadonlyArray<Named>): string | undefined => {
  const names = keys.map(({ name }) => name)
  const duplicate = names.find((name, index) => name !== undefined && names.indexOf(name) < index)
  if (keys.length > channelLimits.sharedKeys)
    return `too many shared keys: ${keys.length} (limit: ${channelLimits.sharedKeys})`
  if (duplicate !== undefined) return `duplicate shared key name: ${shown(duplicate)}`
  if (names.lastIndexOf(undefined) > 0)
    return "only the first of several shared keys may omit its name; use NAME=KEY"
  const incomplete = keys.find(({ reference }) => reference === "")
  return incomplete === undefined ? undefined : `${shown(incomplete.name ?? "")}=: missing key`
}

/** The keys in the order in which the server tries them. */
export const option = Flag.text("key").pipe(
  Flag.completing("file"),
  Flag.withValue("KEY"),
  Flag.repeated,
  Flag.mapEffect((texts) => {
    const keys = texts.map(parseNamed)
    const fault = faultOf(keys)
    return fault === undefined ? Effect.succeed(keys) : optionError("key", fault)
  }),
  Flag.withDescription(
    `Key shared with clients; NAME=KEY names the clients that hold it. Up to ${channelLimits.sharedKeys}, all accepted.`,
    `${sharedKeyFile}, without an identity`
  )
)

/** Loads the keys, and creates missing ones; a client never creates one. */
export const load = (
  keys: ReadonlyArray<Named>,
  emit: (event: Event) => Effect.Effect<void>
): Effect.Effect<ReadonlyArray<NamedSharedKey>, KeyLoadError | KeyCreateError | OptionsConflict> =>
  Effect.gen(function* () {
    const loaded: Array<NamedSharedKey> = []
    for (const { reference, ...name } of keys) {
      const secret = yield* one(reference, emit)
      const twin = loaded.findIndex((other) => other.secret.equals(secret))
      if (twin >= 0)
        return yield* new OptionsConflict({
          detail: `${shown(keys[twin]?.reference ?? "")} and ${shown(reference)} hold the same shared key`
        })
      loaded.push({ ...name, secret })
    }
    return loaded
  })

const one = (reference: string, emit: (event: Event) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    const store = yield* KeyStore
    if (yield* store.createIfMissing(SharedKey))
      yield* emit(Event.KeyCreated({ reference, kind: SharedKey.name }))
    return yield* store.load(SharedKey)
  }).pipe(Effect.provide(KeyStore.layerReference(reference)))
