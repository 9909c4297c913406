import * as Flag from "../../arguments/Flag.ts"
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

export const keysRotate = commandSpec(
  {
    path: ["keys", "rotate"],
    group: "Keys and peers",
    summary: "replace an identity step by step, so that one is valid at any time",
    examples: [
      ["sealwire keys rotate", "show the stage of the rotation and the next steps"],
      [
        "sealwire keys rotate --begin --identity ./server.key",
        "create ./server.key.next, and show how to announce it"
      ],
      [
        "sealwire keys rotate --switch --identity ./server.key",
        "make the next identity the current one, ./server.key"
      ],
      ["sealwire keys rotate --finish --identity ./server.key", "delete the old identity"]
    ]
  },
  {
    identity: options.identity,
    begin: Flag.boolean("begin").pipe(Flag.withDescription("Create the next identity, FILE.next.")),
    switchOver: Flag.boolean("switch").pipe(
      Flag.withDescription(
        "Make the next identity the current one; the old one becomes FILE.retiring."
      )
    ),
    finish: Flag.boolean("finish").pipe(Flag.withDescription("Delete FILE.retiring permanently.")),
    retireAt: options.date(
      "retire-at",
      `With --switch: when the old identity retires (default: in ${Rotation.defaultDays} days)`
    ),
    json: options.json
  },
  ({ identity, begin, switchOver, finish, retireAt, json }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const emit = (event: Event) => report.emit(event, { json, wire: false, exact: false })
      const stepCount = [begin, switchOver, finish].filter(Boolean).length
      if (stepCount > 1) return yield* conflict("--begin, --switch and --finish exclude each other")
      if (Option.isSome(retireAt) && !switchOver)
        return yield* conflict("--retire-at requires --switch")
      const file = yield* keyFile.keyFileOf(options.identityReference(identity), advice)
      const current = yield* publicKeyOf(file)

      if (begin) {
        yield* Rotation.check(file, "begin")
        yield* Effect.flatMap(KeyStore, (store) => store.create(Identity)).pipe(
          Effect.provide(KeyStore.layerFile(Rotation.nextOf(file)))
        )
        yield* emit(Event.KeyCreated({ reference: Rotation.nextOf(file), kind: Identity.name }))
      }
      if (switchOver) {
        yield* Rotation.check(file, "switch")
        // Loading it first keeps an unusable key from becoming the current one.
        yield* publicKeyOf(Rotation.nextOf(file))
        yield* Rotation.switchOver(file)
      }
      if (finish) {
        yield* Rotation.check(file, "finish")
        const retiring = Rotation.retiringOf(file)
        const publicKey = yield* publicKeyOf(retiring)
        yield* Rotation.finish(file)
        return yield* emit(Event.KeyRemoved({ file: retiring, publicKey, current }))
      }
      const now = yield* Clock.currentTimeMillis
      const date = UtcDate.format(Option.getOrElse(retireAt, () => Rotation.defaultRetirement(now)))
      yield* reportStage(file, Option.isSome(identity), switchOver ? date : "DATE", emit)
    })
)

const conflict = (detail: string) => new options.OptionsConflict({ detail })

/** The advice for an identity that another provider keeps. */
const advice =
  "a rotation renames key files; create the next key where this one is kept, and pass it to sealwire serve with --next-identity"

const publicKeyOf = (file: string) =>
  Effect.flatMap(KeyStore, (store) => store.load(Identity)).pipe(
    Effect.map(({ publicKey }) => publicKey),
    Effect.provide(KeyStore.layerFile(file))
  )

/** Reports the stage of the rotation and the next commands. */
const reportStage = (
  file: string,
  isNamed: boolean,
  date: string,
  emit: (event: Event) => Effect.Effect<void>
) =>
  Effect.gen(function* () {
    const stage = yield* Rotation.stageOf(file)
    const current = yield* publicKeyOf(file)
    const next = hasNext.includes(stage) ? yield* publicKeyOf(Rotation.nextOf(file)) : undefined
    const retiring = hasRetiring.includes(stage)
      ? yield* publicKeyOf(Rotation.retiringOf(file))
      : undefined
    yield* emit(Event.RotationStatus({ file, stage, current, next, retiring }))
    const rotate = `sealwire keys rotate --${Rotation.nextStep[stage]}${isNamed ? ` --identity ${quoted(file)}` : ""}`
    const steps = stepsOf({ file, stage, next, retiring, date, rotate })
    yield* Effect.forEach(
      steps,
      (step, index) => emit(Event.NextStep({ step: index + 1, steps: steps.length, ...step })),
      { discard: true }
    )
  })

const hasNext: ReadonlyArray<Rotation.Stage> = ["begun", "half switched", "begun again"]
const hasRetiring: ReadonlyArray<Rotation.Stage> = ["switched", "begun again"]

interface Progress {
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
}: Progress): ReadonlyArray<Omit<NextStep, "step" | "steps">> => {
  const serve = `sealwire serve … --identity ${quoted(file)}`
  if (stage === "begun" && next !== undefined)
    return [
      {
        where: "if this is the key of a server, restart it",
        command: `${serve} --next-identity ${quoted(Rotation.nextOf(file))}`,
        meaning: "clients learn the next key when they connect"
      },
      {
        where: "if it is the key of a client, add the next key on its servers",
        command: `sealwire peers add NAME ${PublicKey.encode(next)}`,
        meaning: "under the name it has there"
      },
      { where: "then, here", command: rotate, meaning: "when every peer knows the next key" }
    ]
  if (stage === "switched" && retiring !== undefined)
    return [
      {
        where: "if this is the key of a server, restart it",
        command: `${serve} --retiring-identity ${quoted(Rotation.retiringOf(file))} --retire-at ${date}`,
        meaning: "the old key stays valid until then; clients learn the date"
      },
      {
        where: "if it is the key of a client, remove the old key on its servers",
        command: `sealwire peers remove ${PublicKey.encode(retiring)}`,
        meaning: `or add expiry-time="${date}" to its line`
      },
      { where: "then, here", command: rotate, meaning: "after the old key has retired" }
    ]
  return [{ where: "here", command: rotate, meaning: meanings[Rotation.nextStep[stage]] }]
}

const meanings: Readonly<Record<Rotation.Step, string>> = {
  begin: "creates the next key; the current one stays in use",
  switch: "completes the switch",
  finish: "deletes the key of the last rotation; then continue with the next one"
}

/** Quotes the path for a POSIX shell. */
const quoted = (file: string): string =>
  /^[\w./~@%+,:-]+$/.test(file) ? file : `'${file.replaceAll("'", "'\\''")}'`
