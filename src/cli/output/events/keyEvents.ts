// What there is to say of keys.
import * as LogLevel from "effect/LogLevel"
import { FileKey, Identity } from "../../../keys/KeyKind.ts"
import * as PublicKey from "../../../keys/PublicKey.ts"
import type { Stage } from "../../../keys/Rotation.ts"
import { keyFields } from "./phrases.ts"
import type { EventTexts } from "./EventText.ts"

/** What a person does next, and where. */
export interface NextStep {
  readonly where: string
  readonly command: string
  readonly meaning: string
}

/** What happens. */
export type KeyEvents = {
  KeyCreated: { readonly reference: string; readonly kind: string }
  KeyProtected: { readonly file: string; readonly kind: string }
  KeyUnprotected: { readonly file: string; readonly kind: string }
  RotationStatus: {
    readonly file: string
    readonly stage: Stage
    readonly current: Uint8Array
    readonly next: Uint8Array | undefined
    readonly retiring: Uint8Array | undefined
  }
  KeyRemoved: {
    readonly file: string
    readonly publicKey: Uint8Array
    readonly current: Uint8Array
  }
  NextStep: NextStep
}

export const keyTexts: EventTexts<KeyEvents> = {
  KeyCreated: {
    code: "key-created",
    level: LogLevel.Info,
    line: ({ reference, kind }) =>
      `made a new ${kind}: ${reference} (readable by this user alone); ` +
      (nextSteps[kind] ?? "give a copy to the other side, by a safe way"),
    fields: ({ reference, kind }) => ({ key: reference, kind })
  },
  KeyProtected: {
    code: "key-protected",
    level: LogLevel.Info,
    line: ({ file, kind }) =>
      `the ${kind} in ${file} opens with its passphrase alone from now on; nobody can find a lost one`,
    fields: ({ file, kind }) => ({ key: file, kind })
  },
  KeyUnprotected: {
    code: "key-unprotected",
    level: LogLevel.Info,
    line: ({ file, kind }) => `the ${kind} in ${file} opens without a passphrase from now on`,
    fields: ({ file, kind }) => ({ key: file, kind })
  },
  RotationStatus: {
    code: "rotation-status",
    level: LogLevel.Info,
    line: ({ file, stage, current, next, retiring }) =>
      [
        `${file} is ${PublicKey.fingerprint(current)}`,
        ...(next === undefined ? [] : [`the next one ${PublicKey.fingerprint(next)}`]),
        ...(retiring === undefined ? [] : [`the retiring one ${PublicKey.fingerprint(retiring)}`])
      ].join(", ") + `; ${stages[stage]}`,
    fields: ({ file, stage, current, next, retiring }) => ({
      file,
      stage: stage.replaceAll(" ", "-"),
      current: keyFields(current),
      ...(next === undefined ? {} : { next: keyFields(next) }),
      ...(retiring === undefined ? {} : { retiring: keyFields(retiring) })
    })
  },
  KeyRemoved: {
    code: "key-removed",
    level: LogLevel.Info,
    line: ({ file, publicKey, current }) =>
      `removed ${file}: ${PublicKey.fingerprint(publicKey)}; the rotation is done, and the key is ${PublicKey.fingerprint(current)}`,
    fields: ({ file, publicKey, current }) => ({
      file,
      ...keyFields(publicKey),
      current: keyFields(current)
    })
  },
  NextStep: {
    code: "next-step",
    level: LogLevel.Info,
    line: ({ where, command, meaning }) => `${where}: ${command} (${meaning})`,
    fields: ({ where, command, meaning }) => ({ where, command, meaning })
  }
}

/** What to do with a new key that is not for the other side. */
const nextSteps: Readonly<Record<string, string>> = {
  [Identity.name]: "others know you by what sealwire pubkey shows",
  [FileKey.name]: "what is encrypted with it opens with nothing else: keep a copy in a safe place"
}

const stages: Readonly<Record<Stage, string>> = {
  "not begun": "no rotation is begun",
  begun: "the rotation is begun",
  "half switched": "the switch was cut off in the middle, and nothing is lost",
  switched: "the new key is in its place",
  "begun again": "a next key is there, and the rotation before it is not finished"
}
