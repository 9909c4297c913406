/** What a name may be: it stands in logs, in files and in environments. */
const namePattern = /^[\p{L}\p{N}][\p{L}\p{N}._@-]{0,63}$/u

export const isName = (text: string): boolean => namePattern.test(text)

export const expected = "letters, digits, and . _ @ -, 64 at most"
