// Users who come and go: authorized_peers changes under a running server, by command and by hand.
import { rmSync } from "node:fs"
import { shown, type Ended } from "../Command.ts"
import { newIdentity, writePrivate } from "../identities.ts"
import { textOf } from "../messageText.ts"
import type { Random } from "../Random.ts"
import type { Site } from "../Site.ts"

/** A user that a test of the rules comes and goes with. */
interface Guest {
  readonly name: string
  readonly key: string
}

/** Sends one message, whose key the account book knows. */
export const sendOne = async (
  site: Site,
  user: string,
  key: string,
  args: ReadonlyArray<string>
): Promise<Ended> => {
  site.book.offer(key)
  const ended = await site.run(user, ["send", textOf(key, 20), "--to", site.address, ...args])
  if (ended.code === 0) {
    site.book.acknowledge([key])
    site.journal.counters.add("messages acknowledged")
  }
  return ended
}

/** Reports a command whose exit code is none of these. */
const expect = (
  site: Site,
  what: string,
  { code, ...rest }: Ended,
  ...wanted: ReadonlyArray<number>
): boolean => {
  if (wanted.includes(Number(code))) return true
  site.journal.violation(`${site.name}: ${what}: ${shown([], { code, ...rest })}`)
  return false
}

/** Codes of a refusal; on a server that was not reachable all the time also those of the network. */
const refusals = (site: Site, since: number, code: number) =>
  site.server.wasReachableSince(since) ? [code] : [code, 5, 7]

/** Edits authorized_peers with a command, and waits until the server has read it. */
export const edit = async (site: Site, args: ReadonlyArray<string>): Promise<boolean> =>
  site.withPeers(async () => {
    const read = site.server.waitFor(({ event }) => event === "peers-reloaded")
    const words = ["peers", ...args, "--authorized-peers", "./authorized_peers"]
    const ended = await site.administer(words)
    if (!expect(site, words.slice(0, 3).join(" "), ended, 0)) return false
    if (await read) return true
    site.journal.violation(`${site.name}: the server did not read authorized_peers again`)
    return false
  })

/** Rules that refuse every message, and the exit code of the client. */
const forbidding = [
  ['services="file"', 8],
  ['from="10.99.0.0/16"', 4],
  ['expiry-time="2021-01-01"', 4]
] as const

const newGuest = (site: Site, name: string): Guest => {
  const key = newIdentity(site.configOf("guest", "identity.key"))
  // A guest learns the keys of the server as the other users know them.
  rmSync(site.configOf("guest", "known_peers"), { force: true })
  return { name, key }
}

/** Sends one message of an authorized user, who must succeed. */
const isWelcome = async (site: Site, user: string, key: string): Promise<boolean> => {
  for (let attempt = 0; ; attempt++) {
    const since = Date.now()
    const sent = await sendOne(site, user, `${key}.${attempt}`, ["--accept-new", "--retry", "5m"])
    if (!site.wasCutInHandshake(sent, since)) return expect(site, `send of ${key}`, sent, 0)
  }
}

/** An open session, which must end when the key is revoked or removed. */
const revokeInSession = async (site: Site, guest: Guest, random: Random): Promise<void> => {
  const args = ["send", "--lines", "--to", site.address, "--retry", "0"]
  const started = site.server.waitFor(
    ({ event, peer }) => event === "session-started" && peer === guest.name
  )
  const session = site.spawn("guest", args, { input: "open" })
  site.book.offer(`${guest.name}/2`)
  session.type(`${textOf(`${guest.name}/2`, 10)}\n`)
  // A client that cannot connect ends as well.
  await Promise.race([started, session.ended])
  await site.journal.pause(random.integer(0, 500))
  const way = random.chance(0.5) ? "revoke" : "remove"
  if (!(await edit(site, [way, guest.name]))) return session.kill("SIGKILL")
  const ended = await Promise.race([
    session.ended,
    new Promise<undefined>((done) => setTimeout(() => done(undefined), 180_000))
  ])
  if (ended === undefined) {
    site.journal.violation(`${site.name}: the session of ${guest.name} survives ${way}`)
    return session.kill("SIGKILL")
  }
  if (ended.code === 0) site.journal.violation(`${site.name}: ${guest.name}: exit 0 after ${way}`)
  const since = Date.now()
  const late = await sendOne(site, "guest", `${guest.name}/3`, ["--retry", "0"])
  if (expect(site, `${guest.name} after ${way}`, late, ...refusals(site, since, 4)))
    site.journal.counters.add("guests revoked")
  if (way === "revoke") await edit(site, ["remove", guest.key])
}

/** Makes the file invalid for a while: the last valid list stays in force. */
const breakFile = (site: Site): Promise<void> =>
  site.withPeers(async () => {
    const failed = site.server.waitFor(({ event }) => event === "peers-reload-failed")
    site.editPeers((text) => `${text}no key\n`)
    if (!(await failed)) site.journal.violation(`${site.name}: an invalid file is not reported`)
    const read = site.server.waitFor(({ event }) => event === "peers-reloaded")
    site.editPeers((text) => text.replace(/no key\n$/, ""))
    site.server.reload()
    if (!(await read)) site.journal.violation(`${site.name}: a mended file is not read`)
  })

/** Has the server read the file again although nothing has changed. */
const signal = (site: Site): Promise<void> =>
  site.withPeers(async () => {
    const read = site.server.waitFor(({ event }) => event === "peers-reloaded")
    site.server.reload()
    if (!(await read)) site.journal.violation(`${site.name}: SIGHUP has no effect`)
  })

/** Adds a guest whose rules forbid messages, changes the rules, and revokes the guest. */
const visit = async (site: Site, random: Random, number: number): Promise<void> => {
  const guest = newGuest(site, `guest${number}`)
  const [rule, code] = forbidding[random.integer(0, forbidding.length - 1)] ?? forbidding[0]
  if (!(await edit(site, ["add", guest.name, guest.key, "--options", rule]))) return
  const since = Date.now()
  const args = ["--accept-new", "--retry", "0"]
  const refused = await sendOne(site, "guest", `${guest.name}/0`, args)
  expect(site, `send in spite of ${rule}`, refused, ...refusals(site, since, code))
  await edit(site, ["remove", guest.key])
  if (!(await edit(site, ["add", guest.name, guest.key]))) return
  site.journal.counters.add("guests added")
  if (await isWelcome(site, "guest", `${guest.name}/1`)) await revokeInSession(site, guest, random)
}

export const guests = async (site: Site, random: Random): Promise<void> => {
  for (let number = 0; !site.journal.isStopping; number++) {
    await visit(site, random, number)
    // Only on a server that is not restarted: it would not start with an invalid file.
    if (site.options.isObserved && random.chance(0.3)) await breakFile(site)
    if (random.chance(0.3)) await signal(site)
    await site.journal.pause(random.integer(20_000, 80_000))
  }
}

/** Pairs a new user with the server by a code, sends a message, and removes the user. */
const pairOne = async (site: Site, number: number): Promise<void> => {
  const name = `paired${number}`
  newIdentity(site.configOf("pair", "identity.key"))
  writePrivate(site.configOf("pair", "known_peers"), "")
  const paired = await site.withPeers(async () => {
    const read = site.server.waitFor(({ event }) => event === "peers-reloaded")
    const host = site.spawnHere([
      "pair",
      `--listen=${site.options.host}:0`,
      "--identity=./server.key",
      "--authorized-peers=./authorized_peers",
      `--peer-name=${name}`
    ])
    const waiting = await host.until(
      () => host.events.find(({ event }) => event === "pairing-listening"),
      180_000
    )
    if (waiting === undefined) {
      host.kill("SIGKILL")
      return expect(site, "pair --listen", await host.ended, 0)
    }
    const join = site.spawn(
      "pair",
      ["pair", String(waiting.address), "--server", site.address, "--peer-name", site.name],
      { input: "open" }
    )
    join.type(`${String(waiting.code)}\n`)
    join.closeInput()
    const joined = await join.ended
    if (joined.code !== 0) host.kill("SIGKILL")
    const hosted = await host.ended
    return (
      expect(site, "pair", joined, 0) && expect(site, "pair --listen", hosted, 0) && (await read)
    )
  })
  if (!paired) return
  if (await isWelcome(site, "pair", `${name}/0`)) site.journal.counters.add("pairings")
  await edit(site, ["remove", name])
}

export const pairing = async (site: Site, random: Random): Promise<void> => {
  for (let number = 0; !site.journal.isStopping; number++) {
    await site.journal.pause(random.integer(5000, 20_000))
    await pairOne(site, number)
    await site.journal.pause(random.integer(60_000, 300_000))
  }
}
