// The rules of authorized_peers for files.
import * as Either from "effect/Either"
import { excerpt } from "../../bytes/excerpt.ts"
import * as OptionSpec from "../../peers/OptionSpec.ts"

/** The name of the service, in openings and in `services="…"`. */
export const name = "file"

/** The kinds of access to files. */
export const accesses = ["read", "write"] as const
/** One of them: `read` allows a pull, `write` a push. */
export type Access = (typeof accesses)[number]

const isAccess = (text: string): text is Access => accesses.some((access) => access === text)

/** The client's own folder, below the one that is served. */
export const folder: OptionSpec.OptionSpec<string> = {
  name: "folder",
  example: "alice",
  summary: "its folder below the served one; default: the served one",
  decode: (value) =>
    /^[^/\\\u0000-\u001f\u007f]+(?:\/[^/\\\u0000-\u001f\u007f]+)*$/.test(value) &&
    !value.split("/").some((name) => name === "." || name === "..")
      ? Either.right(value)
      : OptionSpec.invalidValue("not a relative path: names separated by /, without . and .."),
  encode: (path) => path
}

/** The access that a client has. */
export const access: OptionSpec.OptionSpec<ReadonlyArray<Access>> = OptionSpec.list({
  name: "access",
  example: "read,write",
  summary: "access to files: read (pull), write (push); default: both",
  decodeEntry: (text) =>
    isAccess(text)
      ? Either.right(text)
      : Either.left(`unknown access ${excerpt(text)}; the kinds are ${accesses.join(", ")}`),
  encodeEntry: (kind) => kind
})

/** The number of bytes that the client's folder may hold. */
export const fileQuota: OptionSpec.OptionSpec<number> = OptionSpec.bytes({
  name: "file-quota",
  example: "20G",
  summary: "maximum size of its folder in bytes; each file, folder and link counts 4 KiB more"
})

/** The client may replace existing files. */
export const overwrite: OptionSpec.OptionSpec<true> = OptionSpec.flag({
  name: "overwrite",
  summary: "it may replace existing files"
})

/** The options that the service adds to authorized_peers. */
export const ruleOptions: ReadonlyArray<OptionSpec.AnyOption> = [
  folder,
  access,
  fileQuota,
  overwrite
]
