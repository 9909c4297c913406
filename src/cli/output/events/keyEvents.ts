// Events of keys: created, protected, rotated.
import * as LogLevel from "effect/LogLevel"
import { FileKey, Identity } from "../../../keys/KeyKind.ts"
import * as PublicKey from "../../../keys/PublicKey.ts"
import type { Stage } from "../../../keys/Rotation.ts"
import { keyFields } from "./phrases.ts"
import type { EventTexts } from "./EventText.ts"

/** A step that the user takes next. */
export interface NextStep {
  /** Number of the step, from 1. */
  readonly step: number
  /** Number of steps. A single step is shown without its number. */
  readonly steps: number
  readonly where: string
  readonly command: string
  readonly meaning: string
}

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
      `created a new ${kind}: ${reference} (readable only by you); ` +
      (adviceFor[kind] ?? "copy it to the other side securely, for example with scp"),
    fields: ({ reference, kind }) => ({ key: reference, kind })
  },
  KeyProtected: {
    code: "key-protected",
    level: LogLevel.Info,
    line: ({ file, kind }) =>
      `the ${kind} in ${file} is now protected by a passphrase; a lost passphrase cannot be recovered`,
    fields: ({ file, kind }) => ({ key: file, kind })
  },
  KeyUnprotected: {
    code: "key-unprotected",
    level: LogLevel.Info,
    line: ({ file, kind }) => `the ${kind} in ${file} is no longer protected by a passphrase`,
    fields: ({ file, kind }) => ({ key: file, kind })
  },
  RotationStatus: {
    code: "rotation-status",
    level: LogLevel.Info,
    line: ({ file, stage, current, next, retiring }) =>
      [
        `${file}: current ${PublicKey.fingerprint(current)}`,
        ...(next === undefined ? [] : [`next ${PublicKey.fingerprint(next)}`]),
        ...(retiring === undefined ? [] : [`retiring ${PublicKey.fingerprint(retiring)}`])
      ].join(", ") + `; ${stages[stage].line}`,
    fields: ({ file, stage, current, next, retiring }) => ({
      file,
      stage: stages[stage].code,
      current: keyFields(current),
      ...(next === undefined ? {} : { next: keyFields(next) }),
      ...(retiring === undefined ? {} : { retiring: keyFields(retiring) })
    })
  },
  KeyRemoved: {
    code: "key-removed",
    level: LogLevel.Info,
    line: ({ file, publicKey, current }) =>
      `removed ${file} (${PublicKey.fingerprint(publicKey)}); ` +
      `the rotation is complete, the key is ${PublicKey.fingerprint(current)}`,
    fields: ({ file, publicKey, current }) => ({
      file,
      ...keyFields(publicKey),
      current: keyFields(current)
    })
  },
  NextStep: {
    code: "next-step",
    level: LogLevel.Info,
    line: ({ step, steps, where, command, meaning }) =>
      `${steps === 1 ? "" : `${step}. `}${where}: ${command} (${meaning})`,
    fields: ({ step, steps, where, command, meaning }) => ({ step, steps, where, command, meaning })
  }
}

/** Advice for a new key that is not copied to the other side. */
const adviceFor: Readonly<Record<string, string>> = {
  [Identity.name]: "sealwire pubkey prints your public key, for the other side",
  [FileKey.name]: "keep a backup: files encrypted with it cannot be decrypted without it"
}

const stages: Readonly<Record<Stage, { readonly code: string; readonly line: string }>> = {
  "not begun": { code: "not-started", line: "no rotation in progress" },
  begun: { code: "started", line: "rotation started" },
  "half switched": {
    code: "switch-interrupted",
    line: "the switch was interrupted; no key was lost"
  },
  switched: { code: "switched", line: "the new key is active" },
  "begun again": {
    code: "next-before-finish",
    line: "a next key exists, but the previous rotation is not finished"
  }
}
