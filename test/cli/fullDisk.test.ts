// A full disk: the error names it, and the files stay unchanged.
import { writeFileSync } from "node:fs"
import { expect } from "vitest"
import { it } from "./Sealwire.ts"
import { canMount, smallDisk } from "./SmallDisk.ts"

it.skipIf(!canMount)(
  "a full disk is reported, and keys and peers stay unchanged",
  async ({ box, skip }) => {
    const disk = smallDisk(box)
    if (disk === undefined) return skip("no file system can be mounted here")
    await box.run(["keygen", "identity", "-o", "./disk/me.key"])
    const key = (await box.run(["pubkey", "--identity", "./disk/me.key"])).stdout.toString().trim()
    await box.run(["peers", "add", "alice", key, "--authorized-peers", "./disk/peers"])
    const before = [box.read("disk/me.key"), box.read("disk/peers")]
    expect(() => writeFileSync(`${disk}/ballast`, Buffer.alloc(1_000_000))).toThrow("ENOSPC")

    const env = { SEALWIRE_PASSPHRASE: "x" }
    expect(await box.run(["keys", "protect", "./disk/me.key"], { env })).toMatchObject({
      code: 3,
      stderr:
        "sealwire: cannot change the key at ./disk/me.key: the disk is full; nothing was changed\n"
    })
    expect(
      await box.run(["peers", "rename", "alice", "bob", "--authorized-peers", "./disk/peers"])
    ).toMatchObject({
      code: 2,
      stderr: "sealwire: ./disk/peers: the disk is full; nothing was changed\n"
    })
    expect(await box.run(["keygen", "-o", "./disk/new.key"])).toMatchObject({
      code: 3,
      stderr: "sealwire: cannot create a key at ./disk/new.key: the disk is full\n"
    })
    expect([box.read("disk/me.key"), box.read("disk/peers")]).toEqual(before)
  }
)
