// The pages of `sealwire help TOPIC`: what several commands share is explained once.
import { exitCodeTexts } from "../output/ExitCode.ts"
import { providers } from "../../keys/providers/index.ts"
import { addressForms } from "./addressOptions.ts"

/** A page that belongs to no command. */
export interface Topic {
  readonly name: string
  readonly summary: string
  readonly text: string
  /** A table below the text. */
  readonly rows: ReadonlyArray<readonly [string, string]>
}

export const topics: ReadonlyArray<Topic> = [
  {
    name: "keys",
    summary: "how an option names a key",
    text: "An option with the value KEY takes a path or one of these references. A command that creates a key takes those that can be written: file: and keyring:.",
    rows: providers.map(({ form, summary }) => [form, summary])
  },
  {
    name: "addresses",
    summary: "how an option names an address",
    text: "An option with the value ADDRESS takes one of these forms. Only an address to listen on can be an inherited socket.",
    rows: addressForms
  },
  {
    name: "exit-codes",
    summary: "exit codes, and what to do",
    text: "Every command ends with one of these codes; with --json the last line says the same.",
    rows: exitCodeTexts
  },
  {
    name: "environment",
    summary: "environment variables and files",
    text: "Variables override nothing that an option says.",
    rows: [
      ["SEALWIRE_PASSPHRASE", "passphrase of protected keys; sealwire removes it for subprocesses"],
      ["XDG_CONFIG_HOME", "parent of the folder sealwire; default: ~/.config"],
      ["TMPDIR", "folder for standard input that push stores before it sends it"],
      ["COLUMNS", "width of help; default: that of the terminal, else 80"],
      ["NO_COLOR", "no colours, if it is not empty; TERM=dumb does the same"],
      ["~/.config/sealwire/identity.key", "your identity"],
      ["~/.config/sealwire/authorized_peers", "clients that serve accepts"],
      ["~/.config/sealwire/known_peers", "servers and their pinned keys"]
    ]
  }
]

export const topicOf = (name: string): Topic | undefined =>
  topics.find((topic) => topic.name === name)
