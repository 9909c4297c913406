// The consumer of a server's inbox: takes messages in all the ways that the command has, and audits.
import { shown, type Ended } from "../Command.ts"
import { isWhole, keyIn } from "../messageText.ts"
import type { Random } from "../Random.ts"
import type { Site } from "../Site.ts"

const leaseMillis = 5000
const at = ["--inbox", "./inbox.db"]
const lease = ["--lease", `${leaseMillis / 1000}s`]
const take = ["inbox", "take", ...at, "--count", "400", ...lease]

/** Notes in the book what a command has printed; returns the keys and IDs. */
const read = (site: Site, { events }: Ended) => {
  const messages = events.filter(({ event }) => event === "inbox-message")
  const before = site.book.taken
  const known = messages.flatMap(({ id, text }) => {
    const whole = String(text)
    const key = keyIn(whole)
    if (key === undefined || !isWhole(whole)) {
      site.journal.violation(
        `${site.name}: message ${String(id)} is damaged: ${whole.slice(0, 80)}`
      )
      return []
    }
    site.journal.check(site.book.take(key, String(id)))
    return [{ key, id: String(id) }]
  })
  site.journal.counters.add("messages taken", site.book.taken - before)
  if (site.options.plant === "lost" && known.length > 0) known.pop()
  if (site.options.plant === "duplicate" && known[0] !== undefined)
    site.journal.check(site.book.take(known[0].key, `${known[0].id}'`))
  return { keys: known.map(({ key }) => key), ids: messages.map(({ id }) => String(id)) }
}

const expectSuccess = (site: Site, args: ReadonlyArray<string>, ended: Ended): boolean => {
  if (ended.code === 0) return true
  site.journal.violation(`${site.name}: ${shown(args, ended)}`)
  return false
}

/** Takes messages under a lease, and acknowledges them by ID. */
const takeAndFinish = async (site: Site): Promise<void> => {
  const taken = await site.administer(take)
  expectSuccess(site, take, taken)
  const { keys, ids } = read(site, taken)
  if (ids.length === 0) return
  const args = ["inbox", "done", ...at, ...ids]
  if (expectSuccess(site, args, await site.administer(args))) site.book.done(keys)
}

/** Takes messages, each of which is acknowledged when it is printed. */
const takeWithAck = async (site: Site): Promise<void> => {
  const args = [...take, "--ack"]
  const taken = await site.administer(args)
  const { keys } = read(site, taken)
  if (expectSuccess(site, args, taken)) site.book.done(keys)
}

/** Takes messages and forgets them: they come again when the lease is over. */
const abandon = async (site: Site): Promise<void> => {
  const taken = await site.administer(take)
  if (expectSuccess(site, take, taken)) read(site, taken)
}

/** Takes messages as they come, and is killed. */
const takeAndDie = async (site: Site, random: Random): Promise<void> => {
  const command = site.spawnHere(["inbox", "take", ...at, "--wait", "--ack", ...lease])
  await site.journal.pause(random.integer(300, 6000))
  command.kill("SIGKILL")
  const ended = await command.ended
  if (ended.code === "SIGKILL") site.journal.counters.add("clients killed")
  else expectSuccess(site, command.args, ended)
  site.book.perhapsDone(read(site, ended).keys)
}

/** Deletes the records of messages that were acknowledged long before any sender may repeat one. */
const prune = async (site: Site): Promise<void> => {
  const args = ["inbox", "prune", ...at, "--older", "20m"]
  expectSuccess(site, args, await site.administer(args))
}

/** Compares the book with a list of what is pending; returns the number of pending messages. */
const audit = async (site: Site): Promise<number> => {
  const before = Date.now()
  const args = ["inbox", "list", ...at, "--count", "99999"]
  const listed = await site.administer(args)
  if (!expectSuccess(site, args, listed)) return 0
  const pending = listed.events.filter(({ event }) => event === "inbox-message")
  const keys = new Set(pending.flatMap(({ text }) => keyIn(String(text)) ?? []))
  for (const key of site.book.lost(keys, before)) {
    site.journal.violation(`${site.name}: the acknowledged message ${key} is lost`)
    // It is reported once.
    site.book.done([key])
  }
  site.journal.counters.add("inbox audits")
  return pending.length
}

export const inbox = async (site: Site, random: Random): Promise<void> => {
  const again = [takeAndFinish, takeAndFinish, takeWithAck, audit]
  const next = random.deck([
    takeAndFinish,
    takeWithAck,
    abandon,
    takeAndDie,
    audit,
    prune,
    ...again
  ])
  await site.journal.pause(3000)
  while (!site.journal.isStopping) {
    await next()(site, random)
    await site.journal.pause(random.integer(4000, 24_000))
  }
}

/** Empties the inbox after the last sender has ended, and audits it. */
export const drain = async (site: Site): Promise<void> => {
  for (let attempt = 0; attempt < 40; attempt++) {
    await takeAndFinish(site)
    if ((await audit(site)) === 0) return
    // Leases of consumers that were killed expire.
    await new Promise((done) => setTimeout(done, leaseMillis))
  }
  site.journal.violation(`${site.name}: the inbox is never empty`)
}
