import { quoted } from "../../../bytes/excerpt.ts"
import * as Flag from "../../arguments/Flag.ts"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { limits } from "../../../services/inbox/limits.ts"
import type { LeaseOrder } from "../../../services/inbox/StoredMessage.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as InboxAt from "../../connection/InboxAt.ts"
import * as InboxWorker from "../../connection/InboxWorker.ts"
import * as options from "../../arguments/options.ts"

const defaultOrder = "peer"

const orders: Readonly<Record<LeaseOrder, string>> = {
  peer: "one message of a peer at a time, in order; one that failed is overtaken while it waits",
  strict: "a message that failed holds back the later ones of its peer",
  none: "any order, also several of a peer at a time"
}

const isOrder = (text: string): text is LeaseOrder => Object.hasOwn(orders, text)

const order = Flag.text("order").pipe(
  Flag.withChoices(Object.keys(orders)),
  Flag.withValue("ORDER"),
  Flag.mapEffect((text) =>
    isOrder(text)
      ? Effect.succeed(text)
      : options.optionError(
          "order",
          `${quoted(text)} is not one of ${Object.keys(orders).join(", ")}`
        )
  ),
  Flag.withDefault<LeaseOrder>(defaultOrder),
  Flag.withDescription(
    `Order of the messages of one peer. ${Object.entries(orders)
      .map(([name, meaning]) => `${name}: ${meaning}`)
      .join("; ")}.`
  )
)

export const inboxWork = commandSpec(
  {
    path: ["inbox", "work"],
    group: "Communicate",
    summary: "run a command for each pending and new message, until it is stopped",
    examples: [
      [
        "sealwire inbox work --exec ./handle.sh",
        `${limits.workConcurrency} messages at a time, one of each peer; failed ones are tried again`
      ],
      [
        "sealwire inbox work --exec ./handle.sh --concurrency 16 --attempts 3 --order none",
        "16 at a time in any order; after three failures a message is a dead letter"
      ]
    ],
    loadsKey: false
  },
  {
    inbox: InboxAt.options.inbox,
    exec: InboxAt.exec.pipe(
      Flag.withValue("COMMAND"),
      Flag.withDescription(InboxWorker.execDescription)
    ),
    concurrency: options
      .integer("concurrency", "Maximum number of commands that run at the same time.", [
        1,
        limits.maxWorkConcurrency
      ])
      .pipe(Flag.withDefault<number>(limits.workConcurrency)),
    order,
    attempts: InboxWorker.attempts,
    execTimeout: options
      .duration("exec-timeout", "Time limit of a command.")
      .pipe(Flag.withDefault(Duration.decode(limits.execDeadline))),
    lease: options
      .duration(
        "lease",
        `Duration of a lease. It is renewed while the command runs; a message of a worker that is killed is delivered again when it expires.`
      )
      .pipe(Flag.withDefault(Duration.decode(limits.lease))),
    json: options.json
  },
  ({ inbox, exec, execTimeout, attempts, json, ...work }) =>
    Effect.asVoid(
      InboxWorker.run({
        ...work,
        inbox,
        command: exec,
        deadline: execTimeout,
        json,
        wait: true,
        ...Option.match(attempts, { onNone: () => ({}), onSome: (attempts) => ({ attempts }) })
      })
    )
)
