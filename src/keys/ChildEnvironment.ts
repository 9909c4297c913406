// The environment of child processes: this process's, without the variables that hold secrets.
import * as Environment from "./Environment.ts"

const withheld = new Set(["SEALWIRE_PASSPHRASE"])

/** Keeps a variable of this process from every child process that starts from now on. */
export const withhold = (name: string): void => {
  withheld.add(name)
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
