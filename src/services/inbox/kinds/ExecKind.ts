import * as Either from "effect/Either"
import { Inbox } from "../Inbox.ts"
import type { HandlerKind } from "../InboxKind.ts"

const prefix = "exec:"

/** An empty command would succeed for every message, and all of them would be lost. */
const check = (reference: string): string | undefined =>
  reference.slice(prefix.length).trim() === ""
    ? "exec: without a command would discard every message; write exec:COMMAND"
    : undefined

/** A command that handles each message. */
export const ExecKind: HandlerKind = {
  name: "exec",
  prefixes: [prefix],
  form: "exec:COMMAND (run for each message, which it reads from standard input)",
  check,
  stores: false,
  open: (reference, options) => {
    const reason = check(reference)
    return reason === undefined
      ? Either.right(Inbox.layerExec({ ...options, command: reference.slice(prefix.length) }))
      : Either.left(reason)
  }
}
