/** The arguments of `npm run bench`. */
export interface Options {
  /** Words that the names of the chosen rows contain. Empty: every row. */
  readonly filters: ReadonlyArray<string>
  /** Prints JSON lines instead of a table. */
  readonly json: boolean
  /** One round with a tenth of the operations, to try a row out. */
  readonly quick: boolean
  /** Appends the results to the history. */
  readonly record: boolean
  /** Writes the tables of the documents from the history, and runs nothing. */
  readonly tables: boolean
  /** Major versions of Node that run everything, in turn. Empty: the one that runs this. */
  readonly node: ReadonlyArray<string>
  /** Options of Node for the processes of contestants, such as --cpu-prof. */
  readonly nodeOptions: ReadonlyArray<string>
}

const nodeOption = "--node-option="
const usage = `--quick, --json, --record, --tables, --node 20,22,24, ${nodeOption}OPTION`

/** The arguments of this process, which `parse` has accepted. */
export const optionsOf = (args: ReadonlyArray<string>): Options => {
  const options = parse(args)
  if (typeof options === "string") throw new Error(options)
  return options
}

/** Parses the arguments; returns a line that says what is wrong with them. */
export const parse = (args: ReadonlyArray<string>): Options | string => {
  const left = [...args]
  const filters: Array<string> = []
  const nodeOptions: Array<string> = []
  const flags = { json: false, quick: false, record: false, tables: false }
  let node: ReadonlyArray<string> = []
  for (let arg = left.shift(); arg !== undefined; arg = left.shift()) {
    const flag = arg.replace(/^--/, "")
    if (!arg.startsWith("--")) filters.push(arg)
    else if (arg.startsWith(nodeOption)) nodeOptions.push(arg.slice(nodeOption.length))
    else if (arg === "--node") node = (left.shift() ?? "").split(",")
    else if (flag in flags) flags[flag as keyof typeof flags] = true
    else return `unknown option ${arg}; the options are ${usage}`
  }
  return { filters, nodeOptions, node, ...flags }
}
