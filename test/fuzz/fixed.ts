// Keys that are the same in every run, because kept inputs are made for them.
import { Secret } from "../../src/bytes/Secret.ts"
import { fromPrivate, type KeyPair } from "../../src/keys/KeyPair.ts"

export const secretOf = (fill: number): Secret => new Secret(Buffer.alloc(32, fill))

const pairOf = (fill: number): KeyPair => fromPrivate(secretOf(fill))

export const server = pairOf(1)
export const nextServer = pairOf(2)
export const alice = pairOf(3)
export const mallory = pairOf(4)
export const psk = secretOf(5)
export const otherPsk = secretOf(6)
export const fileKey = secretOf(7)
