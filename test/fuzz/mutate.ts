// Changes an input a little, as libFuzzer and AFL do.
import type { Random } from "./Random.ts"

/** Values at which counts and lengths have their limits. */
const interesting = [0, 1, 2, 16, 31, 32, 63, 64, 127, 128, 255, 256, 1023, 1024, 4095, 4096]
const wide = [
  0x7fff, 0x8000, 0xffff, 0x10000, 0xfffff, 0x100000, 0x7fffffff, 0x80000000, 0xffffffff
]

export interface MutationSource {
  readonly random: Random
  /** Another input, to take parts from. */
  readonly other: Uint8Array
  readonly words: ReadonlyArray<Uint8Array>
  readonly maxBytes: number
}

type Mutation = (input: Buffer, source: MutationSource) => Buffer

const splice = (input: Buffer, at: number, removed: number, inserted: Uint8Array): Buffer =>
  Buffer.concat([input.subarray(0, at), inserted, input.subarray(at + removed)])

/** Short ranges are likelier than long ones. */
const rangeLength = (random: Random, most: number): number =>
  1 + random.below(Math.min(most, random.pick([1, 2, 4, 8, 32, 256, 65_536])))

const range = (bytes: Uint8Array, random: Random): Uint8Array => {
  const start = random.below(bytes.length)
  return bytes.subarray(start, start + rangeLength(random, bytes.length - start))
}

const flipBit: Mutation = (input, { random }) => {
  const changed = Buffer.from(input)
  const at = random.below(changed.length)
  if (changed.length > 0) changed[at] = (changed[at] as number) ^ (1 << random.below(8))
  return changed
}

const setByte: Mutation = (input, { random }) => {
  const changed = Buffer.from(input)
  if (changed.length > 0) changed[random.below(changed.length)] = random.below(256)
  return changed
}

const addToByte: Mutation = (input, { random }) => {
  const changed = Buffer.from(input)
  const at = random.below(changed.length)
  if (changed.length > 0) changed[at] = ((changed[at] as number) + random.below(9) - 4) & 0xff
  return changed
}

const setInteger: Mutation = (input, { random }) => {
  const size = random.pick([1, 2, 4, 8])
  if (input.length < size) return Buffer.from(input)
  const changed = Buffer.from(input)
  const at = random.below(input.length - size + 1)
  const value = random.pick(size > 2 ? [...interesting, ...wide] : interesting)
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value + random.below(3)))
  changed.set(bytes.subarray(8 - size), at)
  return changed
}

/** Sets a length field to the number of bytes behind it, which random changes hardly ever do. */
const setLength: Mutation = (input, { random }) => {
  const size = random.pick([2, 4])
  if (input.length < size) return Buffer.from(input)
  const changed = Buffer.from(input)
  const at = random.below(input.length - size + 1)
  const rest = input.length - at - size
  if (size === 2) changed.writeUInt16BE(rest & 0xffff, at)
  else changed.writeUInt32BE(rest, at)
  return changed
}

const insert: Mutation = (input, { random }) =>
  splice(
    input,
    random.below(input.length + 1),
    0,
    Buffer.alloc(rangeLength(random, 4096), random.below(256))
  )

const insertByte: Mutation = (input, { random }) =>
  splice(input, random.below(input.length + 1), 0, Uint8Array.of(random.below(256)))

const remove: Mutation = (input, { random }) =>
  splice(input, random.below(input.length), rangeLength(random, input.length), new Uint8Array(0))

const truncate: Mutation = (input, { random }) => input.subarray(0, random.below(input.length + 1))

const duplicate: Mutation = (input, { random }) =>
  splice(input, random.below(input.length + 1), 0, range(input, random))

const overwrite: Mutation = (input, { random }) => {
  const part = range(input, random)
  return splice(input, random.below(input.length + 1), part.length, part)
}

const takeFromOther: Mutation = (input, { random, other }) =>
  splice(input, random.below(input.length + 1), random.below(2) * 8, range(other, random))

const joinOther: Mutation = (input, { random, other }) =>
  Buffer.concat([
    input.subarray(0, random.below(input.length + 1)),
    other.subarray(random.below(other.length + 1))
  ])

const insertWord: Mutation = (input, { random, words }) => {
  if (words.length === 0) return Buffer.from(input)
  const word = random.pick(words)
  return splice(input, random.below(input.length + 1), random.below(2) * word.length, word)
}

const mutations: ReadonlyArray<Mutation> = [
  flipBit,
  setByte,
  addToByte,
  setInteger,
  setLength,
  insert,
  insertByte,
  remove,
  truncate,
  duplicate,
  overwrite,
  takeFromOther,
  joinOther,
  insertWord,
  insertWord
]

/** Returns the input with one to eight changes, cut to `maxBytes`. */
export const mutate = (input: Uint8Array, source: MutationSource): Buffer => {
  let changed = Buffer.from(input)
  for (let left = 1 + source.random.below(source.random.pick([1, 2, 4, 8])); left > 0; left--)
    changed = Buffer.from(
      source.random.pick(mutations)(changed, source).subarray(0, source.maxBytes)
    )
  return changed
}
