// The parts of a command that help, manual pages and the reference show, each in one form.
import type { CommandSpec } from "./CommandSpec.ts"
import type { FlagData } from "./Flag.ts"
import { globalOptionsOf } from "./globalOptions.ts"
import type { OperandData } from "./Operand.ts"

export const nameOf = ({ path }: Pick<CommandSpec, "path">): string => `sealwire ${path.join(" ")}`

const repeats = (text: string, { many }: { readonly many: boolean }): string =>
  many ? `${text}...` : text

/** `-i, --identity KEY`; the names of an option without a letter are aligned with the others. */
export const namesOf = ({ name, short, value }: FlagData): string =>
  `${short === undefined ? "    " : `-${short}, `}--${name}${value === undefined ? "" : ` ${value}`}`

/** `PATH...`, `[MESSAGE]...` */
export const operandOf = (operand: OperandData): string =>
  repeats(operand.isRequired ? operand.name : `[${operand.name}]`, operand)

/** `sealwire push [OPTIONS] PATH...` */
export const usageOf = (command: CommandSpec): string =>
  [
    nameOf(command),
    ...command.options.flatMap(({ name, value, isRequired }) =>
      isRequired ? [`--${name} ${value ?? ""}`] : []
    ),
    "[OPTIONS]",
    ...command.operands.map(operandOf)
  ].join(" ")

/** The whole description of an option: its text, its default and how often it may be given. */
export const descriptionOf = ({ describe, many, value, default: fallback }: FlagData): string =>
  [
    describe,
    ...(many && value !== undefined ? ["Repeatable."] : []),
    ...(fallback === undefined ? [] : [`Default: ${fallback}.`])
  ].join(" ")

/** The first sentence of a description, and the default. */
export const summaryOf = ({ describe, default: fallback }: FlagData): string =>
  `${firstSentence(describe).replace(/\.$/, "")}${fallback === undefined ? "" : ` (default: ${fallback})`}`

export const firstSentence = (text: string): string => /^.*?\.(?= [A-Z-]|$)/.exec(text)?.[0] ?? text

/** The options of a command under their headings, those of every command last. */
export const optionGroupsOf = (
  command: CommandSpec
): ReadonlyArray<readonly [heading: string, options: ReadonlyArray<FlagData>]> => {
  const groups = new Map<string, Array<FlagData>>([["Options", []]])
  for (const option of [...command.options, ...globalOptionsOf(command)]) {
    const { group = "Options" } = option
    groups.set(group, [...(groups.get(group) ?? []), option])
  }
  return [...groups].filter(([, options]) => options.length > 0)
}
