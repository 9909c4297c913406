// A user who pushes and pulls files and folders, and compares every byte.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import path from "node:path"
import { shown, type Ended } from "../Command.ts"
import { digestOf } from "../FileBook.ts"
import type { Random } from "../Random.ts"
import type { Site } from "../Site.ts"

/** Files that stay in the served folder; older ones are deleted. */
const keptFiles = 60
const attempts = 60

const sizeOf = (random: Random): number => {
  const kind = random.next()
  if (kind < 0.1) return 0
  if (kind < 0.6) return random.integer(1, 65_536)
  return kind < 0.9 ? random.integer(65_537, 2_000_000) : random.integer(8_388_609, 20_000_000)
}

/**
 * Runs a push or pull until it is complete, and kills it first if `kills`. Exit code 7 asks to run
 * the command again, as long as a killed session still holds its partial file.
 */
const complete = async (
  site: Site,
  random: Random,
  args: ReadonlyArray<string>,
  { kills, input }: { readonly kills: boolean; readonly input?: Buffer | undefined }
): Promise<Ended | undefined> => {
  const words = [...args, "--retry", "10m"]
  const start = () => {
    if (input === undefined) return site.spawn("files", words)
    const command = site.spawn("files", words, { input: "open" })
    command.type(input)
    command.closeInput()
    return command
  }
  if (kills) {
    const command = start()
    const killing = setTimeout(() => command.kill("SIGKILL"), random.integer(300, 1500))
    const ended = await command.ended
    clearTimeout(killing)
    if (ended.code === 0) return ended
    if (ended.code === "SIGKILL") site.journal.counters.add("clients killed")
  }
  for (let attempt = 0; ; attempt++) {
    const since = Date.now()
    const { ended: end } = start()
    const ended = await end
    if (ended.code === 0) return ended
    const isIncomplete = ended.code === 7 || site.wasCutInHandshake(ended, since)
    if (!isIncomplete || attempt === attempts) {
      site.journal.violation(`${site.name}: ${shown(words, ended)}`)
      return undefined
    }
    await new Promise((done) => setTimeout(done, 1000))
  }
}

/** A worker for one server; `push` is also used at the end. */
export class Files {
  readonly #site: Site
  readonly #random: Random
  readonly #kills: () => boolean
  #number = 0

  constructor(site: Site, random: Random) {
    this.#site = site
    this.#random = random
    this.#kills = random.deck([true, false, false])
    for (const folder of ["out", "in"]) mkdirSync(site.path("files", folder))
  }

  /** Pushes what was written into the folder `out` under that name, and checks what is stored. */
  async #push(
    name: string,
    files: ReadonlyMap<string, Buffer>,
    options: ReadonlyArray<string>
  ): Promise<void> {
    const site = this.#site
    const local = site.path("files", "out", name)
    for (const [file, content] of files) {
      mkdirSync(path.dirname(site.path("files", "out", file)), { recursive: true })
      writeFileSync(site.path("files", "out", file), content)
    }
    const to = ["--to", site.address, ...options]
    // A killed push would leave its buffered input behind; other pushes are killed.
    const isPiped = files.has(name) && this.#random.chance(0.25)
    const ended = isPiped
      ? await complete(site, this.#random, ["push", "-", "--as", name, ...to], {
          kills: false,
          input: files.get(name)
        })
      : await complete(site, this.#random, ["push", local, ...to], { kills: this.#kills() })
    rmSync(local, { recursive: true })
    if (ended === undefined) return
    site.journal.counters.add("pushes")
    for (const [file, content] of files) {
      site.files.stored(file, digestOf(content))
      site.journal.check(this.#named(site.files.check(site.served, file)))
    }
  }

  #named(what: string | undefined): string | undefined {
    return what === undefined ? undefined : `${this.#site.name}: stored file ${what}`
  }

  /** Pushes a new file. */
  async pushFile(): Promise<void> {
    const content = this.#random.bytes(sizeOf(this.#random))
    const limit = content.length > 8_000_000 ? ["--limit", "6M"] : []
    await this.#push(`f${this.#number}`, new Map([[`f${this.#number++}`, content]]), limit)
  }

  /** Pushes a new folder with small files. */
  async pushFolder(): Promise<void> {
    const folder = `d${this.#number++}`
    const files = Array.from(
      { length: this.#random.integer(2, 20) },
      (_, index) =>
        [
          `${folder}/${index % 3}/${index}`,
          this.#random.bytes(this.#random.integer(0, 20_000))
        ] as const
    )
    await this.#push(folder, new Map(files), [])
  }

  /** Replaces a file that is stored. */
  async overwrite(): Promise<void> {
    const name = this.#any()
    if (name === undefined || name.includes("/")) return this.pushFile()
    const content = this.#random.bytes(sizeOf(this.#random))
    await this.#push(name, new Map([[name, content]]), ["--overwrite"])
  }

  #any(): string | undefined {
    const { paths } = this.#site.files
    return paths[this.#random.integer(0, paths.length - 1)]
  }

  /** Pulls a file or folder, and compares it. */
  async pull(): Promise<void> {
    const site = this.#site
    const [name] = this.#any()?.split("/") ?? []
    if (name === undefined) return this.pushFile()
    const args = ["pull", name, "--into", "./in", "--from", site.address]
    const ended = await complete(site, this.#random, args, { kills: this.#kills() })
    if (ended === undefined) return
    site.journal.counters.add("pulls")
    for (const file of site.files.paths)
      if (file === name || file.startsWith(`${name}/`))
        site.journal.check(this.#named(site.files.check(site.path("files", "in"), file)))
    rmSync(site.path("files", "in", name), { recursive: true, force: true })
  }

  /** Deletes the oldest files, as an administrator would, after a last comparison. */
  deleteOldest(): void {
    const site = this.#site
    for (const name of site.files.paths.slice(0, -keptFiles)) {
      site.journal.check(this.#named(site.files.check(site.served, name)))
      site.files.forget(name)
      rmSync(path.join(site.served, name))
    }
  }

  /** Changes a byte of a stored file, for `--plant damaged`. */
  damage(): void {
    const name = this.#site.files.paths.find((it) => existsSync(path.join(this.#site.served, it)))
    if (name === undefined) return
    const file = path.join(this.#site.served, name)
    writeFileSync(file, Buffer.concat([readFileSync(file), Buffer.of(0)]))
  }

  /** One push into every folder of this user; a session removes leftovers in folders it uses. */
  async pushEverywhere(): Promise<void> {
    const folders = new Set(this.#site.files.paths.map((name) => path.dirname(name)))
    const top = new Set([...folders].map((folder) => folder.split("/")[0] ?? ""))
    for (const folder of top) {
      const inside = [...folders].filter((it) => it === folder || it.startsWith(`${folder}/`))
      const file = `last${this.#number++}`
      if (folder === ".") await this.#push(file, new Map([[file, Buffer.from(file)]]), [])
      else
        await this.#push(
          folder,
          new Map(inside.map((it) => [`${it}/${file}`, Buffer.from(it)])),
          []
        )
    }
  }

  async work(): Promise<void> {
    const next = this.#random.deck([
      () => this.pushFile(),
      () => this.pushFile(),
      () => this.pushFolder(),
      () => this.overwrite(),
      () => this.pull(),
      () => this.pull()
    ])
    while (!this.#site.journal.isStopping) {
      await next()()
      this.deleteOldest()
      await this.#site.journal.pause(this.#random.integer(6000, 40_000))
    }
  }
}
