// The table of patterns beside the text of the Noise specification, revision 34, sections 7.4, 7.5
// and 18.1; and the names of protocols.
import { expect, it } from "@effect/vitest"
import { patterns, type Pattern } from "../../src/noise/Pattern.ts"
import { algorithms, fromPattern } from "../../src/noise/Protocol.ts"

const specification = `
N: <- s ... -> e, es
K: -> s <- s ... -> e, es, ss
X: <- s ... -> e, es, s, ss
NN: -> e <- e, ee
KN: -> s ... -> e <- e, ee, se
NK: <- s ... -> e, es <- e, ee
KK: -> s <- s ... -> e, es, ss <- e, ee, se
NX: -> e <- e, ee, s, es
KX: -> s ... -> e <- e, ee, se, s, es
XN: -> e <- e, ee -> s, se
IN: -> e, s <- e, ee, se
XK: <- s ... -> e, es <- e, ee -> s, se
IK: <- s ... -> e, es, s, ss <- e, ee, se
XX: -> e <- e, ee, s, es -> s, se
IX: -> e, s <- e, ee, se, s, es
NK1: <- s ... -> e <- e, ee, es
NX1: -> e <- e, ee, s -> es
X1N: -> e <- e, ee -> s <- se
X1K: <- s ... -> e, es <- e, ee -> s <- se
XK1: <- s ... -> e <- e, ee, es -> s, se
X1K1: <- s ... -> e <- e, ee, es -> s <- se
X1X: -> e <- e, ee, s, es -> s <- se
XX1: -> e <- e, ee, s -> es, s, se
X1X1: -> e <- e, ee, s -> es, s <- se
K1N: -> s ... -> e <- e, ee -> se
K1K: -> s <- s ... -> e, es <- e, ee -> se
KK1: -> s <- s ... -> e <- e, ee, se, es
K1K1: -> s <- s ... -> e <- e, ee, es -> se
K1X: -> s ... -> e <- e, ee, s, es -> se
KX1: -> s ... -> e <- e, ee, se, s -> es
K1X1: -> s ... -> e <- e, ee, s -> se, es
I1N: -> e, s <- e, ee -> se
I1K: <- s ... -> e, es, s <- e, ee -> se
IK1: <- s ... -> e, s <- e, ee, se, es
I1K1: <- s ... -> e, s <- e, ee, es -> se
I1X: -> e, s <- e, ee, s, es -> se
IX1: -> e, s <- e, ee, se, s -> es
I1X1: -> e, s <- e, ee, s -> se, es
`

/** Writes a pattern as the specification does. */
const format = ({ initiatorPre, responderPre, messages }: Pattern): string =>
  [
    ...initiatorPre.map((token) => `-> ${token}`),
    ...responderPre.map((token) => `<- ${token}`),
    ...(initiatorPre.length + responderPre.length > 0 ? ["..."] : []),
    ...messages.map((tokens, index) => `${index % 2 === 0 ? "->" : "<-"} ${tokens.join(", ")}`)
  ].join(" ")

it("are those of the specification, token for token", () => {
  const ours = [...patterns].map(([name, pattern]) => `${name}: ${format(pattern)}`)
  expect(ours.toSorted()).toEqual(specification.trim().split("\n").toSorted())
})

it("are one-way if and only if only the initiator writes", () => {
  for (const [name, { oneWay, messages }] of patterns)
    expect([name, oneWay]).toEqual([name, messages.length === 1])
})

it("an unknown pattern is a bug of the program", () => {
  expect(() => fromPattern("QQ")).toThrow("unknown Noise pattern QQ")
  expect(fromPattern("IK").name).toBe(`Noise_IK_${algorithms}`)
  expect(fromPattern("XXpsk0+psk3").psks).toBe(2)
})
