interface Assertion {
  readonly title: string
  readonly ancestorTitles: ReadonlyArray<string>
  readonly status: string
}

export const requirementOf: (condition: string) => string | undefined

export const conditionsOf: (
  code: string
) => ReadonlyArray<{ readonly condition: string; readonly title: RegExp | undefined }>

export const skippedLines: (
  report: {
    readonly testResults: ReadonlyArray<{
      readonly name: string
      readonly assertionResults: ReadonlyArray<Assertion>
    }>
  },
  root: string
) => ReadonlyArray<string>
