// A kind of inbox that a reference can name: "./inbox.db", "postgres://…", "exec:COMMAND".
import type * as Either from "effect/Either"
import type * as Layer from "effect/Layer"
import type * as ExecInbox from "./ExecInbox.ts"
import type { Inbox, InboxMessages } from "./Inbox.ts"
import type { InboxRefused, InboxUnusable } from "./InboxErrors.ts"

interface Reference {
  readonly name: string
  /** The prefixes of its references. The kind without a prefix is the default. */
  readonly prefixes: ReadonlyArray<string>
  /** The form of a reference, for help and errors. */
  readonly form: string
  /**
   * Returns why a reference is invalid, as a clause with the next step, or undefined. It looks at
   * the text alone, so that a configuration can be checked on another machine.
   */
  readonly check?: (reference: string) => string | undefined
}

export interface StoreOptions {
  /** Creates a missing inbox. */
  readonly create: boolean
}

/** An inbox that stores messages. */
export interface StoreKind extends Reference {
  readonly stores: true
  /** Returns the layer of the inbox, or why the reference is invalid. */
  readonly open: (
    reference: string,
    options: StoreOptions
  ) => Either.Either<Layer.Layer<Inbox | InboxMessages, InboxUnusable | InboxRefused>, string>
}

/** The options of a handler's command. */
export type HandlerOptions = Omit<ExecInbox.Options, "command">

/** An inbox that handles messages and stores none. */
export interface HandlerKind extends Reference {
  readonly stores: false
  /** Returns the layer of the inbox, or why the reference is invalid. */
  readonly open: (
    reference: string,
    options: HandlerOptions
  ) => Either.Either<Layer.Layer<Inbox, InboxUnusable | InboxRefused>, string>
}

export type InboxKind = StoreKind | HandlerKind
