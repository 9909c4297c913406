// Dates in peers files and options, in UTC. Three forms of RFC 3339 are accepted.

const forms = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d)?Z)?$/

/**
 * Parses `2027-01-01` (midnight), `2027-01-01T12:00Z` or `2027-01-01T12:00:00Z`. Returns
 * milliseconds since 1970; undefined when the text has no such form.
 */
export const parse = (text: string): number | undefined => {
  if (!forms.test(text)) return undefined
  const whole = `${text.replace(/Z$/, "")}${"T00:00:00.000Z".slice(text.replace(/Z$/, "").length - 10)}`
  const millis = Date.parse(whole)
  // Date accepts 30 February and 24:00 as other dates; the comparison rejects them.
  return !Number.isNaN(millis) && new Date(millis).toISOString() === whole ? millis : undefined
}

/** Formats milliseconds since 1970 in the shortest form that `parse` reads, to the second. */
export const format = (millis: number): string =>
  new Date(millis)
    .toISOString()
    .replace(/\.\d+Z$/, "Z")
    .replace(/T00:00:00Z$/, "")

/** The forms that `parse` reads, for errors. */
export const syntax =
  "a date is 2027-01-01 (midnight), 2027-01-01T12:00Z or 2027-01-01T12:00:00Z, in UTC"
