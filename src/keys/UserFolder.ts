// The folder of this user's configuration: $XDG_CONFIG_HOME/sealwire, or ~/.config/sealwire.
import { userInfo } from "node:os"
import path from "node:path"
import * as Data from "effect/Data"
import { shown } from "../bytes/excerpt.ts"

/** Nothing names an absolute folder for this user. */
export class HomeUnknown extends Data.TaggedError("HomeUnknown")<{ readonly detail: string }> {
  override get message(): string {
    return `this user has no configuration folder: ${this.detail}; set XDG_CONFIG_HOME to an absolute path`
  }
}

/**
 * Returns the folder. Throws HomeUnknown for a relative path, which would name another folder in
 * each working directory, and for a user of whom neither HOME nor the system names a home.
 */
export const configuration = (): string => {
  const configured = absolute("XDG_CONFIG_HOME")
  return path.join(configured ?? path.join(absolute("HOME") ?? systemHome(), ".config"), "sealwire")
}

/** The value of a variable; undefined if it is not set or empty. */
const absolute = (variable: "XDG_CONFIG_HOME" | "HOME"): string | undefined => {
  const value = process.env[variable] ?? ""
  if (value === "") return undefined
  if (!path.isAbsolute(value))
    throw new HomeUnknown({
      detail: `${variable} is ${shown(value)}, which is not an absolute path`
    })
  return value
}

const systemHome = (): string => {
  const home = ofPasswd()
  if (home !== undefined && path.isAbsolute(home)) return home
  throw new HomeUnknown({
    detail: `HOME is not set, and the system names no home for ${user()}`
  })
}

/** The home in the user database. A container may run a user whom its passwd file does not list. */
const ofPasswd = (): string | undefined => {
  try {
    return userInfo().homedir
  } catch {
    return undefined
  }
}

const user = (): string => {
  const uid = process.geteuid?.()
  return uid === undefined ? "this user" : `uid ${uid}`
}
