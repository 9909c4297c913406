/** Returns how many of the bytes `S`, `L`, 0xff an input begins with, as a word. */
export const planted = (input: Buffer): string => {
  if (input[0] !== 0x53) return "none"
  if (input[1] !== 0x4c) return "one"
  if (input[2] !== 0xff) return "two"
  return "three"
}
