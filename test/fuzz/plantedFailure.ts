/** Returns how many of the bytes `SLW` 0xff an input begins with, as a word. */
export const planted = (input: Buffer): string => {
  if (input[0] !== 0x53) return "none"
  if (input[1] !== 0x4c) return "one"
  if (input[2] !== 0x57) return "two"
  if (input[3] !== 0xff) return "three"
  return "four"
}
