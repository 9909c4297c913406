/** The longest delay of a timer of Node, in milliseconds: a longer one fires at once. */
export const longestTimerMillis = 2 ** 31 - 1

/**
 * Calls `callback` once after `millis`, of any length. Returns a function that cancels the timer.
 */
export const after = (millis: number, callback: () => void): (() => void) => {
  let timer: NodeJS.Timeout
  const wait = (left: number): void => {
    const step = Math.min(left, longestTimerMillis)
    timer = setTimeout(() => (left > step ? wait(left - step) : callback()), step)
  }
  wait(millis)
  return () => clearTimeout(timer)
}
