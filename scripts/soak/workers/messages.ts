// Senders of messages. Each text has a key that the account book knows.
import { shown, type Command, type Ended } from "../Command.ts"
import { textOf } from "../messageText.ts"
import type { Random } from "../Random.ts"
import type { Site } from "../Site.ts"

/** Length of the filler: mostly short, now and then more than a record. */
const fillerOf = (random: Random): number =>
  random.chance(0.03) ? random.integer(60_000, 200_000) : random.integer(0, 300)

/** Offers and types one message; returns its key. */
const typeMessage = (site: Site, command: Command, key: string, random: Random): string => {
  site.book.offer(key)
  command.type(`${textOf(key, fillerOf(random))}\n`)
  return key
}

const credit = (site: Site, keys: ReadonlyArray<string>) => {
  const before = site.book.acknowledged
  site.book.acknowledge(keys)
  site.journal.counters.add("messages acknowledged", site.book.acknowledged - before)
}

/** Credits all messages of a command that ended, which must have succeeded. */
const settle = (
  site: Site,
  { command, ended, since }: { command: Command; ended: Ended; since: number },
  keys: ReadonlyArray<string>
) => {
  const delivered = ended.events.findLast(({ event }) => event === "messages-delivered")?.messages
  if (ended.code === 0 && delivered === keys.length) credit(site, keys)
  else if (!site.wasCutInHandshake(ended, since))
    site.journal.violation(
      `${site.name}: ${keys.length} messages, ${String(delivered)} delivered: ${shown(command.args, ended)}`
    )
}

const sendLines = ["send", "--lines", "--retry", "10m", "--to"]

/** Short sessions of `send --lines --retry`. */
export const lines = async (site: Site, random: Random): Promise<void> => {
  for (let session = 0; !site.journal.isStopping; session++) {
    const since = Date.now()
    const command = site.spawn("lines", [...sendLines, site.address], { input: "open" })
    const keys: Array<string> = []
    for (let count = random.integer(1, 15); count > 0 && !site.journal.isStopping; count--) {
      keys.push(typeMessage(site, command, `lines/${session}/${keys.length}`, random))
      await site.journal.pause(random.integer(0, 1500))
    }
    command.closeInput()
    settle(site, { command, ended: await command.ended, since }, keys)
    await site.journal.pause(random.integer(5000, 30_000))
  }
}

/** One `send --lines --retry` for the whole run; it survives whatever happens to the server. */
export const stream = async (
  site: Site,
  random: Random,
  onStart: (command: Command) => void
): Promise<void> => {
  const since = Date.now()
  const command = site.spawn("stream", [...sendLines, site.address], { input: "open" })
  onStart(command)
  const keys: Array<string> = []
  while (!site.journal.isStopping && command.isAlive) {
    const burst = random.chance(0.02) ? random.integer(50, 300) : 1
    for (let count = burst; count > 0; count--)
      keys.push(typeMessage(site, command, `stream/${keys.length}`, random))
    await site.journal.pause(random.integer(300, 2000))
  }
  command.closeInput()
  settle(site, { command, ended: await command.ended, since }, keys)
}

/** The number of messages that a run of `send --outbox` has kept on the disk. */
const queuedBy = ({ events }: Ended): number =>
  events.reduce(
    (most, { event, messages }) =>
      event === "messages-queued" ? Math.max(most, Number(messages)) : most,
    0
  )

/** `send --outbox`, killed in every second run: what it has kept must arrive by a later run. */
export const outbox = async (site: Site, random: Random): Promise<void> => {
  const args = ["send", "--outbox", "./outbox.db", "--retry", "10m", "--to", site.address]
  let kept: ReadonlyArray<string> = []
  const isKilled = random.deck([true, false])
  for (let session = 0; !site.journal.isStopping; session++) {
    const since = Date.now()
    const command = site.spawn("outbox", [...args, "--lines"], { input: "open" })
    const keys: Array<string> = []
    for (let count = random.integer(1, 12); count > 0 && !site.journal.isStopping; count--) {
      keys.push(typeMessage(site, command, `outbox/${session}/${keys.length}`, random))
      await site.journal.pause(random.integer(0, 800))
    }
    const kills = isKilled()
    if (kills) {
      await site.journal.pause(random.integer(0, 1500))
      command.kill("SIGKILL")
    } else command.closeInput()
    const ended = await command.ended
    const sent = [...kept, ...keys.slice(0, queuedBy(ended))]
    if (kills && ended.code === "SIGKILL") {
      site.journal.counters.add("clients killed")
      kept = sent
    } else if (site.wasCutInHandshake(ended, since)) kept = sent
    else if (ended.code === 0 && sent.length === kept.length + keys.length) {
      credit(site, sent)
      kept = []
    } else
      site.journal.violation(
        `${site.name}: outbox with ${keys.length} messages, ${queuedBy(ended)} kept: ${shown(command.args, ended)}`
      )
    await site.journal.pause(random.integer(5000, 30_000))
  }
  // Whatever is kept is sent by a last run.
  const last = await site.run("outbox", args)
  if (last.code === 0) credit(site, kept)
  else site.journal.violation(`${site.name}: the last run of the outbox: ${shown(args, last)}`)
}
