// The identities of a server during a key rotation: current, next and retiring.
import { shown } from "../../bytes/excerpt.ts"
import { existsSync } from "node:fs"
import * as Flag from "../arguments/Flag.ts"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { KeyLoadError } from "../../keys/KeyErrors.ts"
import { Identity } from "../../keys/KeyKind.ts"
import { KeyStore } from "../../keys/KeyStore.ts"
import { FileKeys } from "../../keys/providers/FileKeys.ts"
import * as providers from "../../keys/providers/index.ts"
import * as Rotation from "../../keys/Rotation.ts"
import * as UtcDate from "../../keys/UtcDate.ts"
import type { Identity as ServerIdentity } from "../../services/Server.ts"
import * as shared from "../arguments/options.ts"

export const options = Flag.grouped("Keys and clients", {
  identity: shared.identity,
  next: Flag.text("next-identity").pipe(
    Flag.completing("file"),
    Flag.withValue("KEY"),
    Flag.optional,
    Flag.withDescription("Next identity: already accepted, and announced to clients.")
  ),
  retiring: Flag.text("retiring-identity").pipe(
    Flag.completing("file"),
    Flag.withValue("KEY"),
    Flag.optional,
    Flag.withDescription("Previous identity: accepted until --retire-at, and announced to clients.")
  ),
  retireAt: shared.date("retire-at", "Time after which the retiring identity is refused")
})

interface Flags {
  readonly identity: Option.Option<string>
  readonly next: Option.Option<string>
  readonly retiring: Option.Option<string>
  readonly retireAt: Option.Option<number>
}

/** Fails for options of a rotation that need each other. */
export const validate = ({ retiring, retireAt }: Flags) =>
  Option.isSome(retiring) === Option.isSome(retireAt)
    ? Effect.void
    : conflict("--retiring-identity and --retire-at must be used together")

/**
 * Loads the identities, the current one first; none if the server uses shared keys alone. The
 * default identity is used if it exists and no shared key is named, and where an option needs one:
 * `isNeeded`, or those of a rotation.
 */
export const load = (
  flags: Flags,
  { isNeeded, hasSharedKey }: { readonly isNeeded: boolean; readonly hasSharedKey: boolean }
): Effect.Effect<ReadonlyArray<ServerIdentity>, KeyLoadError | shared.OptionsConflict> =>
  Effect.gen(function* () {
    const { next, retiring, retireAt } = flags
    const usesDefault =
      isNeeded ||
      Option.isSome(next) ||
      Option.isSome(retiring) ||
      (Option.isNone(flags.identity) && !hasSharedKey && existsSync(shared.identityFile()))
    const identity = Option.orElse(flags.identity, () =>
      usesDefault ? Option.some(shared.identityFile()) : Option.none()
    )
    if (Option.isNone(identity)) return []
    if (Option.isNone(flags.identity) && !hasSharedKey && existsSync(shared.sharedKeyFile))
      yield* Effect.logWarning(
        `using the identity ${identity.value}; ${shared.sharedKeyFile} is not used; --key ${shared.sharedKeyFile} uses it`
      )
    const retires = Option.getOrElse(retireAt, () => Infinity)
    const hasRetired = retires <= (yield* Clock.currentTimeMillis)
    if (hasRetired && Option.isSome(retiring))
      yield* Effect.logWarning(
        `${shown(retiring.value)} retired on ${UtcDate.format(retires)} and is ignored; remove --retiring-identity and --retire-at`
      )
    const files = yield* rotationOf(identity.value)
    if (Option.isNone(retiring) && files?.hasRetiring === true) {
      const advice = `--retiring-identity ${files.retiring} --retire-at ${yield* defaultRetirement}`
      if (Option.contains(next, files.next) && !files.hasNext)
        return yield* conflict(
          `${files.next} not found: "keys rotate --switch" has made it the current identity; replace --next-identity by ${advice}`
        )
      yield* Effect.logWarning(
        `${files.retiring} is not used, so that clients which know only that key are refused; add ${advice}, or remove it: sealwire keys rotate --finish --identity ${files.current}`
      )
    }
    const references = [identity, next, hasRetired ? Option.none() : retiring]
    const loaded: Array<ServerIdentity & { readonly reference: string }> = []
    for (const reference of references.flatMap(Option.toArray)) {
      const pair = yield* Effect.flatMap(KeyStore, (store) => store.load(Identity)).pipe(
        Effect.provide(KeyStore.layerReference(reference))
      )
      const duplicate = loaded.find(
        ({ publicKey }) => Buffer.compare(publicKey, pair.publicKey) === 0
      )
      if (duplicate !== undefined)
        return yield* conflict(
          `${shown(duplicate.reference)} and ${shown(reference)} hold the same identity`
        )
      loaded.push({
        ...pair,
        reference,
        ...(Option.contains(retiring, reference) ? { retires } : {})
      })
    }
    return loaded
  })

/** The files of a rotation of an identity in a file; undefined for one that is kept elsewhere. */
const rotationOf = (reference: string) =>
  Effect.map(providers.parse(reference), ({ provider, name: current }) => {
    if (provider !== FileKeys) return undefined
    const [next, retiring] = [Rotation.nextOf(current), Rotation.retiringOf(current)]
    return {
      current,
      next,
      retiring,
      hasNext: existsSync(next),
      hasRetiring: existsSync(retiring)
    }
  })

const defaultRetirement = Effect.map(Clock.currentTimeMillis, (now) =>
  UtcDate.format(Rotation.defaultRetirement(now))
)

const conflict = (detail: string) => new shared.OptionsConflict({ detail })
