import { quoted, shown } from "../../bytes/excerpt.ts"
import { existsSync } from "node:fs"
import * as Either from "effect/Either"
import { CredKeys } from "./CredKeys.ts"
import { EnvKeys } from "./EnvKeys.ts"
import { ExecKeys } from "./ExecKeys.ts"
import { FdKeys } from "./FdKeys.ts"
import { FileKeys } from "./FileKeys.ts"
import { KeyReferenceInvalid } from "../KeyErrors.ts"
import * as InlineKey from "../InlineKey.ts"
import { KeyringKeys } from "./KeyringKeys.ts"
import type { KeyLocation, Provider } from "../Provider.ts"

/** Every provider. A new one is a file in this folder and an entry here. */
export const providers: ReadonlyArray<Provider> = [
  FileKeys,
  EnvKeys,
  FdKeys,
  ExecKeys,
  CredKeys,
  KeyringKeys
]

/** A parsed reference. */
export interface Reference {
  readonly provider: Provider
  readonly name: string
}

/** Parses a reference. Text without a scheme is the path of a file. */
export const parse = (reference: string): Either.Either<Reference, KeyReferenceInvalid> => {
  if (InlineKey.isInlineKey(reference)) return Either.left(InlineKey.inlineKeyError())
  const provider = providers.find(({ scheme }) => reference.startsWith(`${scheme}:`))
  const scheme = provider === undefined ? schemePattern.exec(reference)?.[0] : undefined
  if (scheme !== undefined && !existsSync(reference))
    return invalid(
      `unknown scheme ${shown(scheme)}; known are ${providers.map(({ form }) => form).join(", ")}; write ./${shown(reference)} for a file of that name`
    )
  const name = provider === undefined ? reference : reference.slice(provider.scheme.length + 1)
  const { form } = provider ?? FileKeys
  return name.trim() === ""
    ? invalid(`${quoted(reference)} names no key; write it as ${form}`)
    : Either.right({ provider: provider ?? FileKeys, name })
}

/** Text with the form of a scheme, known or not. A single letter is a Windows drive. */
const schemePattern = /^[a-z][a-z0-9+-]+:/i

const invalid = (detail: string) => Either.left(new KeyReferenceInvalid({ detail }))

/**
 * Returns the location that a reference names. Reading and writing the location of an invalid
 * reference fails with KeyReferenceInvalid.
 */
export const locate = (reference: string): KeyLocation =>
  Either.match(parse(reference), {
    onLeft: (error) => ({ reference: "invalid", read: () => error, write: () => error }),
    onRight: ({ provider, name }) => provider.location(name)
  })
