import * as Options from "@effect/cli/Options"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Identity } from "../../../keys/KeyKind.ts"
import { KeyStore } from "../../../keys/KeyStore.ts"
import * as UtcDate from "../../../keys/UtcDate.ts"
import * as PublicKey from "../../../keys/PublicKey.ts"
import * as Rotation from "../../../keys/Rotation.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as keyFile from "../../arguments/keyFile.ts"
import * as options from "../../arguments/options.ts"
import { Report } from "../../output/Report.ts"
import { Event } from "../../output/events/index.ts"
import type { NextStep } from "../../output/events/keyEvents.ts"

/** How long the old key opens beside the new one, unless told otherwise. */
const defaultDays = 30

export const keysRotate = commandSpec(
  ["keys", "rotate"],
  "change an identity for a new one, step by step, with no moment in which none is valid",
  [
    [
      "sealwire keys rotate",
      "tells where the rotation of this user's identity stands, and what comes next"
    ],
    [
      "sealwire keys rotate --begin --identity ./server.key",
      "makes ./server.key.next, and shows how to announce it"
    ],
    [
      "sealwire keys rotate --switch --identity ./server.key",
      "the next one is ./server.key from now on"
    ],
    ["sealwire keys rotate --finish --identity ./server.key", "removes the old one"]
  ],
  {
    identity: options.identity,
    begin: Options.boolean("begin").pipe(
      Options.withDescription("Make the next identity, FILE.next.")
    ),
    switchOver: Options.boolean("switch").pipe(
      Options.withDescription(
        "Put the next identity in the place of the current one, which becomes FILE.retiring."
      )
    ),
    finish: Options.boolean("finish").pipe(
      Options.withDescription("Remove FILE.retiring for ever.")
    ),
    retireAt: options.date(
      "retire-at",
      `With --switch: when the old one retires; without it, in ${defaultDays} days`
    ),
    json: options.json
  },
  ({ identity, begin, switchOver, finish, retireAt, json }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const tell = (event: Event) => report.emit(event, { json, wire: false, exact: false })
      const wanted = [begin, switchOver, finish].filter(Boolean).length
      if (wanted > 1) return yield* conflict("one step at a time: --begin, --switch or --finish")
      if (Option.isSome(retireAt) && !switchOver)
        return yield* conflict("--retire-at goes with --switch")
      const file = yield* keyFile.keyFileOf(options.identityReference(identity), purpose)
      const current = yield* publicKeyOf(file)

      if (begin) {
        yield* Rotation.check(file, "begin")
        yield* Effect.flatMap(KeyStore, (store) => store.create(Identity)).pipe(
          Effect.provide(KeyStore.layerFile(Rotation.nextOf(file)))
        )
        yield* tell(Event.KeyCreated({ reference: Rotation.nextOf(file), kind: Identity.name }))
      }
      if (switchOver) {
        yield* Rotation.check(file, "switch")
        // A next one that no program would take is not put in its place.
        yield* publicKeyOf(Rotation.nextOf(file))
        yield* Rotation.switchOver(file)
      }
      if (finish) {
        yield* Rotation.check(file, "finish")
        const retiring = Rotation.retiringOf(file)
        const publicKey = yield* publicKeyOf(retiring)
        yield* Rotation.finish(file)
        return yield* tell(Event.KeyRemoved({ file: retiring, publicKey, current }))
      }
      const now = yield* Clock.currentTimeMillis
      const date = UtcDate.format(
        Option.getOrElse(retireAt, () => Math.ceil(now / day + defaultDays) * day)
      )
      yield* standing(file, Option.isSome(identity), switchOver ? date : "DATE", tell)
    })
)

const day = 24 * 60 * 60 * 1000

const conflict = (detail: string) => new options.OptionsConflict({ detail })

/** What comes from elsewhere is changed there. */
const purpose =
  "a rotation makes, moves and removes files; make the next key where this one is kept, and give it to sealwire serve with --next-identity"

const publicKeyOf = (file: string) =>
  Effect.flatMap(KeyStore, (store) => store.load(Identity)).pipe(
    Effect.map(({ publicKey }) => publicKey),
    Effect.provide(KeyStore.layerFile(file))
  )

/** Tells where the rotation stands, and the commands that come next. */
const standing = (
  file: string,
  named: boolean,
  date: string,
  tell: (event: Event) => Effect.Effect<void>
) =>
  Effect.gen(function* () {
    const stage = yield* Rotation.stageOf(file)
    const current = yield* publicKeyOf(file)
    const next = hasNext.includes(stage) ? yield* publicKeyOf(Rotation.nextOf(file)) : undefined
    const retiring = hasRetiring.includes(stage)
      ? yield* publicKeyOf(Rotation.retiringOf(file))
      : undefined
    yield* tell(Event.RotationStatus({ file, stage, current, next, retiring }))
    const rotate = `sealwire keys rotate --${Rotation.nextStep[stage]}${named ? ` --identity ${quoted(file)}` : ""}`
    yield* Effect.forEach(
      stepsOf({ file, stage, next, retiring, date, rotate }),
      (step) => tell(Event.NextStep(step)),
      {
        discard: true
      }
    )
  })

const hasNext: ReadonlyArray<Rotation.Stage> = ["begun", "half switched", "begun again"]
const hasRetiring: ReadonlyArray<Rotation.Stage> = ["switched", "begun again"]

interface Standing {
  readonly file: string
  readonly stage: Rotation.Stage
  readonly next: Uint8Array | undefined
  readonly retiring: Uint8Array | undefined
  readonly date: string
  readonly rotate: string
}

const stepsOf = ({
  file,
  stage,
  next,
  retiring,
  date,
  rotate
}: Standing): ReadonlyArray<NextStep> => {
  const serve = `sealwire serve … --identity ${quoted(file)}`
  if (stage === "begun" && next !== undefined)
    return [
      {
        where: "on a server",
        command: `${serve} --next-identity ${quoted(Rotation.nextOf(file))}`,
        meaning: "clients learn the next key as they connect"
      },
      {
        where: "for a client, on its servers",
        command: `sealwire peers add NAME ${PublicKey.encode(next)}`,
        meaning: "under the name it has there"
      },
      { where: "then, here", command: rotate, meaning: "when all know the next key" }
    ]
  if (stage === "switched" && retiring !== undefined)
    return [
      {
        where: "on a server",
        command: `${serve} --retiring-identity ${quoted(Rotation.retiringOf(file))} --retire-at ${date}`,
        meaning: "the old key opens until then, and clients learn that"
      },
      {
        where: "for a client, on its servers",
        command: `sealwire peers remove ${PublicKey.encode(retiring)}`,
        meaning: `or give its line expiry-time="${date}"`
      },
      { where: "then, here", command: rotate, meaning: "when the old key has retired" }
    ]
  return [{ where: "here", command: rotate, meaning: meanings[Rotation.nextStep[stage]] }]
}

const meanings: Readonly<Record<Rotation.Step, string>> = {
  begin: "makes the next key, and changes nothing that is",
  switch: "ends what was begun",
  finish: "removes the key of the last rotation; then the next one goes on"
}

/** As a shell takes it. */
const quoted = (file: string): string =>
  /^[\w./~@%+,:-]+$/.test(file) ? file : `'${file.replaceAll("'", "'\\''")}'`
