// Kills, stops and rotations of a server, as docs/how-to/rotate.md describes them.
import { readFileSync } from "node:fs"
import { shown } from "../Command.ts"
import { writePrivate } from "../identities.ts"
import type { Random } from "../Random.ts"
import { users, type Site } from "../Site.ts"

/** Lines of known_peers for the server after which a user deletes the oldest; the limit is 16. */
const keptLines = 8

/** Time in which every user connects, and learns the next key. */
const learnMillis = 300_000

interface Stage {
  readonly option: "--begin" | "--switch" | "--finish"
  /** Options of `serve` after the step. */
  readonly args: () => ReadonlyArray<string>
}

const year = new Date().getUTCFullYear() + 1
const retireAt = `${year}-01-01`

const stages: ReadonlyArray<Stage> = [
  { option: "--begin", args: () => ["--next-identity", "./server.key.next"] },
  {
    option: "--switch",
    args: () => ["--retiring-identity", "./server.key.retiring", "--retire-at", retireAt]
  },
  { option: "--finish", args: () => [] }
]

const knownOf = (site: Site, user: string): string =>
  readFileSync(site.configOf(user, "known_peers"), "utf8")

/** A rotation in progress. */
export class Rotation {
  readonly #site: Site
  #stage = 0
  #next = ""
  #begun = 0

  constructor(site: Site) {
    this.#site = site
  }

  /** True if every user has learned the next key, which `--switch` requires. */
  #isKnown(): boolean {
    const late = users.filter((user) => !knownOf(this.#site, user).includes(this.#next))
    if (late.length > 0 && Date.now() > this.#begun + learnMillis)
      this.#site.journal.violation(
        `${this.#site.name}: ${late.join(", ")} did not learn the next key in ${learnMillis} ms`
      )
    return late.length === 0
  }

  /** Takes the next step while the server does not run. Returns false if it is too early. */
  async step(): Promise<boolean> {
    const site = this.#site
    const stage = stages[this.#stage] as Stage
    if (stage.option === "--switch" && !this.#isKnown()) return false
    const date = stage.option === "--switch" ? ["--retire-at", retireAt] : []
    const args = ["keys", "rotate", "--identity", "./server.key", stage.option, ...date]
    const ended = await site.administer(args)
    if (ended.code !== 0) {
      site.journal.violation(`${site.name}: ${shown(args, ended)}`)
      return false
    }
    if (stage.option === "--begin") {
      const shownKey = await site.administer(["pubkey", "--identity", "./server.key.next"])
      this.#begun = Date.now()
      this.#next = String(shownKey.events[0]?.publicKey)
    }
    site.rotationArgs = stage.args()
    site.journal.counters.add("rotation steps")
    this.#stage = (this.#stage + 1) % stages.length
    if (this.#stage === 0) {
      site.journal.counters.add("rotations")
      this.#tidy()
    }
    return true
  }

  /** Deletes lines of keys that have retired long ago, as a user would with an editor. */
  #tidy(): void {
    for (const user of users) {
      const lines = knownOf(this.#site, user).split("\n").filter(Boolean)
      if (lines.length > keptLines)
        writePrivate(
          this.#site.configOf(user, "known_peers"),
          `${lines.slice(-keptLines / 2).join("\n")}\n`
        )
    }
  }
}

export const churn = async (site: Site, random: Random, rotation: Rotation): Promise<void> => {
  const next = random.deck(["kill", "kill", "kill", "stop", "rotate", "rotate"] as const)
  while (!site.journal.isStopping) {
    await site.journal.pause(random.integer(8000, 35_000))
    if (site.journal.isStopping) return
    const kind = next()
    // Nobody edits authorized_peers meanwhile, and waits in vain for the server to read it.
    await site.withPeers(async () => {
      await site.server.end(kind === "stop" ? "SIGTERM" : "SIGKILL")
      if (kind !== "rotate") site.journal.counters.add(kind === "kill" ? "kills" : "stops")
      else if (!(await rotation.step())) site.journal.counters.add("kills")
      await site.journal.pause(random.integer(0, 3000))
      await site.server.start()
    })
  }
}
