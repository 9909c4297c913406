// The dates of peers files, always in UTC. They are written as RFC 3339 has them, and read in no other way.

const forms = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d)?Z)?$/

/** `2027-01-01` (its first moment), `2027-01-01T12:00Z`, `2027-01-01T12:00:00Z`: milliseconds since 1970; undefined when it is none. */
export const parse = (text: string): number | undefined => {
  if (!forms.test(text)) return undefined
  const whole = `${text.replace(/Z$/, "")}${"T00:00:00.000Z".slice(text.replace(/Z$/, "").length - 10)}`
  const moment = Date.parse(whole)
  // There is no 30th of February, and no 24:00, though Date makes something of either.
  return !Number.isNaN(moment) && new Date(moment).toISOString() === whole ? moment : undefined
}

/** The shortest form that `parse` reads as this moment, to the second. */
export const format = (moment: number): string =>
  new Date(moment)
    .toISOString()
    .replace(/\.\d+Z$/, "Z")
    .replace(/T00:00:00Z$/, "")

export const syntax =
  "a date is 2027-01-01 (its first moment), 2027-01-01T12:00Z or 2027-01-01T12:00:00Z, in UTC"
