// What users type: the code of a pairing, its twelve words, and the addresses of peers.
import * as Either from "effect/Either"
import * as Code from "../../../src/bytes/Code.ts"
import * as Mnemonic from "../../../src/bytes/Mnemonic.ts"
import * as PeerName from "../../../src/peers/PeerName.ts"
import * as Address from "../../../src/transports/Address.ts"
import { secretOf } from "../fixed.ts"
import { check, outcomeOf, type Target } from "../Target.ts"

const code = secretOf(0x5a).slice(0, 16)
const words = "legal winner thank year wave sausage worth useful legal winner thank yellow".split(
  " "
)

const addressOutcome = (text: string): string => {
  const address = Address.parse(text)
  if (Either.isLeft(address)) return outcomeOf(address.left.detail).slice(0, 12)
  const again = Address.parse(Address.format(address.right))
  check(
    Either.isRight(again) && JSON.stringify(again.right) === JSON.stringify(address.right),
    `the address ${Address.format(address.right)}`
  )
  Address.isLoopback(address.right)
  return address.right._tag
}

const nameOutcome = (text: string): string => {
  const name = PeerName.of(text, "peer")
  check(PeerName.isName(name), `the name ${JSON.stringify(name)}`)
  const taken: Array<{ readonly name: string }> = []
  for (let count = 0; count < 12; count++) {
    const free = PeerName.free(name, taken)
    check(PeerName.isName(free), `the free name ${JSON.stringify(free)}`)
    taken.push({ name: free })
  }
  return name === "peer" ? "no name" : "name"
}

export const spokenCodes: Target = {
  maxBytes: 300,
  seeds: () =>
    [
      Code.encode(code),
      Code.encode(code).toLowerCase().replaceAll("-", " "),
      words.join(" "),
      "127.0.0.1:80",
      "[fe80::1%eth0]:1",
      ":8080",
      "unix:a.sock",
      "/run/a",
      "fd:3",
      "systemd:x"
    ].map((text) => Buffer.from(text)),
  words: ["O", "I", "-", "\u2013", "zoo ", "abandon ", "\u{10400}".repeat(20), ...words],
  run: async (input) => {
    const text = input.toString()
    const decoded = Code.decode(text)
    if (decoded !== undefined)
      check(Code.decode(Code.encode(decoded))?.equals(decoded) === true, "a code")
    const spoken = text.split(/\s+/)
    const bytes = await Mnemonic.decodeCode(spoken)
    if (bytes !== undefined) {
      const again = await Mnemonic.encodeCode(bytes)
      check(
        again.every((word, at) => word.slice(0, 4) === spoken[at]?.toLowerCase().slice(0, 4)),
        `the words ${again.join(" ")}`
      )
    }
    return `${decoded !== undefined} ${bytes !== undefined} ${addressOutcome(text)} ${nameOutcome(text)}`
  }
}
