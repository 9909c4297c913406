// Options that have no effect alone, or beside another option. No command accepts those.

/** A rule for an option of these commands. */
interface OptionRule {
  readonly commands: ReadonlyArray<string>
  readonly option: string
  /** Without this option it has no effect. */
  readonly needs?: string
  /** Beside one of these options it has no effect. */
  readonly excludes?: ReadonlyArray<string>
  /** The reason, which follows a colon. */
  readonly because?: string
}

const clients = ["send", "push", "pull", "tunnel", "pipe"]

const optionRules: ReadonlyArray<OptionRule> = [
  { commands: ["serve"], option: "--exec-concurrency", needs: "--inbox" },
  { commands: ["serve"], option: "--exec-timeout", needs: "--inbox" },
  { commands: ["inbox take"], option: "--attempts", needs: "--exec" },
  { commands: ["serve"], option: "--unsafe-forward-in-clear", needs: "--forward" },
  { commands: ["serve"], option: "--tunnel-idle", needs: "--forward" },
  {
    commands: clients,
    option: "--accept-new",
    excludes: ["--peer"],
    because: "the key of --peer is the only one that is accepted"
  },
  {
    commands: ["push", "pull"],
    option: "--limit",
    excludes: ["--dry-run"],
    because: "a dry run transfers no content"
  },
  {
    commands: ["encrypt"],
    option: "--identity",
    excludes: ["--anonymous", "--key", "--passphrase"],
    because: "such a file has no sender"
  },
  { commands: ["encrypt", "decrypt", "rekey"], option: "--overwrite", needs: "--output" }
]

/**
 * Returns the error of the first option without effect; undefined if each has one. `given` are the
 * long names of the given options.
 */
export const ineffectiveOption = (
  command: string,
  given: ReadonlySet<string>
): string | undefined => {
  for (const { commands, option, needs, excludes = [], because } of optionRules) {
    if (!commands.includes(command) || !given.has(option)) continue
    if (needs !== undefined && !given.has(needs)) return `${option}: has no effect without ${needs}`
    const other = excludes.find((each) => given.has(each))
    if (other !== undefined)
      return `${option}: has no effect with ${other}${because === undefined ? "" : `: ${because}`}`
  }
  return undefined
}

/** Commands that load no private key: for those a passphrase would have no effect. */
export const loadsNoKey = (path: ReadonlyArray<string>): boolean =>
  ["status", "inbox", "peers", "check-config", "inspect"].includes(path[0] ?? "")
