import { room } from "./Mutant.ts"

export const services = room("services", [
  {
    file: "PeerBudgets.ts",
    tests: ["services/peerBudgets"],
    mutants: [
      ["peer === from ? `source ${sourceOf(from)}`", "peer === from ? `source ${from}`"],
      ["`source ${sourceOf(from)}` : `peer ${peer}`", "sourceOf(from) : peer"],
      [
        "if (hasLeft || usage.memory + bytes > peerLimits.memory())",
        "if (usage.memory + bytes > peerLimits.memory())"
      ],
      [
        "if (hasLeft || usage.memory + bytes > peerLimits.memory())",
        "if (hasLeft || reserved + bytes > peerLimits.memory())"
      ],
      ["Math.min(bytes, reserved)", "bytes"],
      ["for (const waiting of usage.waiting) Deferred.unsafeDone(waiting, Effect.void)", ";"],
      ["        if (hasLeft) return\n", ""],
      ["        release(reserved)\n", ""],
      ["usage.entered + usage.refused === 0", "usage.entered === 0"],
      ["if (entered < connections)", "if (entered <= connections)"],
      ["refused < limits.refusedConnections ?", "true ?"]
    ]
  },
  {
    file: "KeyAnnouncement.ts",
    tests: ["services/keyAnnouncement"],
    mutants: [
      ["count > limits.identities ||", ""],
      [
        "body.length !== setBytes + (count - 1) * proofBytes",
        "body.length < setBytes + (count - 1) * proofBytes"
      ],
      [
        "if (others?.length !== count - 1) return undefined",
        "if (others === undefined) return undefined",
        {
          equivalent:
            "decodeSet lets no key be there twice, so only a set without the key of the handshake has another number; it has a proof too few for its length, and Possession.verify refuses an empty one"
        }
      ],
      ["return isProven ? keys : undefined", "return keys"],
      ["seconds > lastSecond || (seconds", "(seconds"],
      ["|| (seconds > 0n && keys.length === 0)", ""],
      ["if (!PublicKey.isCanonical(publicKey)) return undefined", ""],
      ["if (keys.some((key) => isSame(key.publicKey, publicKey))) return undefined", ""]
    ]
  }
])
