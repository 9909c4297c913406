/** A URL that can be shown: without its password, and without settings, which may hold one. */
export const redactUrl = (url: URL): string => {
  const shown = new URL(url)
  shown.password = ""
  shown.search = ""
  return shown.href
}
