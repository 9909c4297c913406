import type { Entry } from "../Entry.ts"
import { classicKeygen } from "./classicKeygen.ts"
import { classicSend } from "./classicSend.ts"
import { classicServe } from "./classicServe.ts"

/** A first word that holds commands: what they have in common. */
export const groups: Readonly<Record<string, string>> = {
  classic: "the origin's system: one message a connection, AES-128-CBC with a fixed key file"
}

/** Every command, in the order of the help. */
export const commands: readonly [Entry, ...ReadonlyArray<Entry>] = [classicServe, classicSend, classicKeygen]
