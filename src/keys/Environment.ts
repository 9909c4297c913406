// The variables of this process, without loss. Node decodes them before any program runs and
// replaces bytes that are not UTF-8 by U+FFFD: another path, or the passphrase of another key.
import { readFileSync } from "node:fs"
import * as Either from "effect/Either"
import * as Utf8 from "../bytes/Utf8.ts"

export type Variables = Readonly<Record<string, string | undefined>>

/**
 * Returns the value of a variable; undefined if it is not set. Left is the reason, as a clause, for
 * which the value cannot be used: "is not valid UTF-8". A true U+FFFD is accepted where the bytes
 * can be seen: on Linux, in /proc/self/environ.
 */
export const variable = (
  name: string,
  environment: Variables = process.env,
  original: () => Uint8Array = readOriginal
): Either.Either<string | undefined, string> => {
  const value = environment[name]
  if (value === undefined) return Either.right(undefined)
  if (!Utf8.isWellFormed(value)) return Either.left(invalid)
  if (!value.includes(Utf8.replacement)) return Either.right(value)
  let bytes: Uint8Array
  try {
    bytes = original()
  } catch {
    return Either.left(unknown)
  }
  const given = valueIn(Buffer.from(bytes), name)
  // Another value: the program itself has set the variable.
  return given !== undefined && given.toString() === value && Utf8.decode(given) === undefined
    ? Either.left(invalid)
    : Either.right(value)
}

const invalid = "is not valid UTF-8"

/** The clause for text with U+FFFD whose bytes cannot be seen. */
export const unknown =
  "contains U+FFFD, which Node also puts in the place of bytes that are not UTF-8, and this system does not show the bytes"

const readOriginal = (): Uint8Array => readFileSync("/proc/self/environ")

/** The bytes after `NAME=` in the NUL-terminated strings of an environment. */
const valueIn = (environ: Buffer, name: string): Buffer | undefined => {
  const start = `${name}=`
  for (let at = 0; at < environ.length;) {
    const nul = environ.indexOf(0, at)
    const end = nul < 0 ? environ.length : nul
    const entry = environ.subarray(at, end)
    if (entry.toString("latin1", 0, Buffer.byteLength(start)) === latin1(start))
      return entry.subarray(Buffer.byteLength(start))
    at = end + 1
  }
  return undefined
}

const latin1 = (text: string): string => Buffer.from(text).toString("latin1")

/** Each variable that Node cannot pass on to a program unchanged, with the value undefined. */
export const withoutUnusable = (environment: Variables = process.env): Variables =>
  Object.fromEntries(
    Object.keys(environment)
      .filter((name) => Either.isLeft(variable(name, environment)))
      .map((name) => [name, undefined])
  )
