// `node typage.mjs encrypt|decrypt KEY IN OUT`: age in TypeScript, from file to file, with a key of
// age-keygen.
import { open } from "node:fs/promises"
import { readFileSync } from "node:fs"
import { Decrypter, Encrypter, identityToRecipient } from "age-encryption"

const [direction = "", key = "", from = "", to = ""] = process.argv.slice(2)
const identity = /AGE-SECRET-KEY-\w+/.exec(readFileSync(key, "utf8"))?.[0] ?? ""
const input = (await open(from)).readableWebStream({ type: "bytes" })
const output = await open(to, "w", 0o600)

const work = {
  encrypt: async () => {
    const encrypter = new Encrypter()
    encrypter.addRecipient(await identityToRecipient(identity))
    return encrypter.encrypt(input)
  },
  decrypt: async () => {
    const decrypter = new Decrypter()
    decrypter.addIdentity(identity)
    return decrypter.decrypt(input)
  }
}[direction]
if (work === undefined) throw new Error(`${direction} is neither encrypt nor decrypt`)
for await (const bytes of await work()) await output.writeFile(bytes)
await output.close()
