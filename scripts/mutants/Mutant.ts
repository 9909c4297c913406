import path from "node:path"

/** A change of the source that some test should notice. */
export interface Mutant {
  /** Room and number, such as `noise/12`. Numbers change when the list does. */
  readonly id: string
  /** The changed file, relative to the root of the repository. */
  readonly file: string
  /** The text to replace. It must occur exactly once in the file. */
  readonly original: string
  readonly replacement: string
  /** The test files that should fail, in the order in which they run, relative to the root. */
  readonly tests: ReadonlyArray<string>
  /** For a mutant that no test can notice: the reason. */
  readonly equivalent?: string
}

interface Options {
  /** Test files for this mutant, relative to `test`, instead of those of its source file. */
  readonly tests?: ReadonlyArray<string>
  readonly equivalent?: string
}

/** Original, replacement, options. */
type Row = readonly [original: string, replacement: string, options?: Options]

/** The mutants of one source file, and the test files that should fail, relative to `test`. */
export interface MutatedFile {
  readonly file: string
  readonly tests: ReadonlyArray<string>
  readonly mutants: ReadonlyArray<Row>
}

/** Makes the list of a room: the files are relative to `src/` and the folder of the room. */
export const room = (folder: string, files: ReadonlyArray<MutatedFile>): ReadonlyArray<Mutant> =>
  files
    .flatMap(({ file, tests, mutants }) => mutants.map((row) => ({ file, tests, row })))
    .map(({ file, tests, row: [original, replacement, options = {}] }, index) => ({
      id: `${path.basename(folder)}/${index + 1}`,
      file: `src/${folder}/${file}`,
      original,
      replacement,
      tests: (options.tests ?? tests).map((test) => `test/${test}.test.ts`),
      ...(options.equivalent === undefined ? {} : { equivalent: options.equivalent })
    }))

/** Returns the source with the mutant in it; throws unless the original occurs exactly once. */
export const mutate = (source: string, { id, file, original, replacement }: Mutant): string => {
  const count = source.split(original).length - 1
  if (count !== 1 || original === replacement)
    throw new Error(`${id}: its original occurs ${count} times in ${file}: ${original}`)
  return source.replace(original, () => replacement)
}
