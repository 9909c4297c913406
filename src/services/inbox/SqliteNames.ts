// The names of a SQLite file and its companions: SQLite finds `-wal` and `-shm` by the name of the
// file, so a file that is moved away from them is without its last transactions. INBOX.md.
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  realpathSync,
  statSync,
  type BigIntStats
} from "node:fs"
import { shown } from "../../bytes/excerpt.ts"

/** The suffixes of the companions: the log, and the memory that processes share. */
const companions = ["-wal", "-shm"] as const

/** A check that failed, as a clause. */
export class Rejected extends Error {}

/** Says what is wrong, and what to do, when what was opened is no longer at its name. */
const moved = (suffix: string): Rejected =>
  new Rejected(
    `its ${suffix === "" ? "file" : `${suffix} file`} was moved, replaced or deleted; put it back, or restart what uses it`
  )

/** A SQLite file whose names are followed from its opening. */
export class SqliteNames {
  /** The path without symbolic links, which SQLite must open: a link can lead elsewhere later. */
  readonly path: string
  /** The path as it was given. */
  readonly given: string
  readonly #identity: string
  #companions: ReadonlyArray<readonly [suffix: string, identity: string | undefined]> | undefined

  private constructor(given: string, path: string, identity: string) {
    this.given = given
    this.path = path
    this.#identity = identity
  }

  /**
   * Opens the file, creating it with mode 0600 if `create` (SQLite gives the companions the same
   * mode), and checks it on the open descriptor: only this user may read or change it. Throws
   * `Rejected`, or the error of the system.
   */
  static open(given: string, create: boolean): SqliteNames {
    // O_NONBLOCK: opening a FIFO must not wait for its other end.
    const flags = constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOCTTY
    const descriptor = openSync(given, flags | (create ? constants.O_CREAT : 0), 0o600)
    try {
      const stats = fstatSync(descriptor, { bigint: true })
      const path = realpathSync(given)
      check(given, "it", stats)
      const names = new SqliteNames(given, path, identityOf(stats))
      names.verify()
      for (const suffix of companions) {
        const companion = lstatSync(path + suffix, { bigint: true, throwIfNoEntry: false })
        if (companion !== undefined) check(path + suffix, `its ${suffix} file`, companion)
      }
      return names
    } finally {
      closeSync(descriptor)
    }
  }

  /** Follows the companions, which SQLite has open, until `forgetCompanions`. */
  followCompanions(): void {
    this.#companions ??= companions.map((suffix) => [suffix, identityAt(this.path + suffix)])
  }

  /** The companions belong to a connection: the last one that closes deletes them. */
  forgetCompanions(): void {
    this.#companions = undefined
  }

  /** Throws `Rejected` if a name means another file than the open one, or none. */
  verify(): void {
    for (const [suffix, identity] of [["", this.#identity] as const, ...(this.#companions ?? [])])
      if (identityAt(this.path + suffix) !== identity) throw moved(suffix)
    if (identityAt(this.given, statSync) !== this.#identity) throw moved("")
  }
}

/** Device and inode. */
const identityOf = ({ dev, ino }: BigIntStats): string => `${dev}-${ino}`

const identityAt = (file: string, stat: typeof lstatSync = lstatSync): string | undefined => {
  try {
    const stats = stat(file, { bigint: true, throwIfNoEntry: false })
    return stats === undefined ? undefined : identityOf(stats)
  } catch (cause) {
    // An entry below a file that is not a directory, or behind endless links, does not exist.
    const { code } = cause as NodeJS.ErrnoException
    if (code === "ENOTDIR" || code === "ELOOP") return undefined
    throw cause
  }
}

/** Checks type, owner and mode, as those of a key file are checked. */
const check = (file: string, name: string, stats: BigIntStats): void => {
  if (!stats.isFile()) throw new Rejected(`${name} is not a regular file`)
  const me = BigInt(process.geteuid?.() ?? stats.uid)
  if (stats.uid !== me && stats.uid !== 0n)
    throw new Rejected(
      `${name} belongs to another user (uid ${stats.uid}); run as that user, or: chown ${me} ${shown(file)}`
    )
  if ((stats.mode & 0o077n) !== 0n)
    throw new Rejected(
      `others can read or change ${name} (mode ${octal(stats.mode)}); try: chmod 600 ${shown(file)}`
    )
}

const octal = (mode: bigint): string => (mode & 0o777n).toString(8).padStart(4, "0")
