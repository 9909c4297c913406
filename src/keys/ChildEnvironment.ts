// The environment of child processes: this process's, without the variables that hold secrets.
import * as Environment from "./Environment.ts"

const withheld = new Set(["SEALWIRE_PASSPHRASE"])

/** Keeps a variable of this process from every child process that starts from now on. */
export const withhold = (name: string): void => {
  withheld.add(name)
}

/** Texts that name the source of a secret, and the variables that they mean. */
const sources: ReadonlyArray<
  readonly [pattern: RegExp, variables: (name: string) => ReadonlyArray<string>]
> = [
  [/(?:^|=)env:(.+)$/, (name) => [name, "PGPASSWORD"]],
  [/(?:^|=)cred:/, () => ["CREDENTIALS_DIRECTORY"]],
  [/(?:^|=)postgres(?:ql)?:/, () => ["PGPASSWORD"]]
]

/**
 * Withholds what the words of a command line name, before any of it is used: a command for one key
 * may run before another key is read.
 */
export const withholdNamedIn = (words: ReadonlyArray<string>): void => {
  for (const word of words)
    for (const [pattern, variables] of sources) {
      const [found, name = ""] = pattern.exec(word) ?? []
      if (found !== undefined) for (const variable of variables(name)) withhold(variable)
    }
}

/** Returns the environment of a child process, with these variables added; undefined removes one. */
export const get = (
  added: Readonly<Record<string, string | undefined>> = {}
): Record<string, string | undefined> => {
  // A value that is not UTF-8 would be passed on as another one.
  const usable = { ...process.env, ...Environment.withoutUnusable() }
  const inherited = Object.entries(usable).filter(([name]) => !withheld.has(name))
  return { ...Object.fromEntries(inherited), ...added }
}
