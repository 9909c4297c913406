/**
 * Returns a URL that is safe to show: without its password and its parameters, which may contain
 * one.
 */
export const redactUrl = (url: URL): string => {
  const redacted = new URL(url)
  redacted.password = ""
  redacted.search = ""
  return redacted.href
}
