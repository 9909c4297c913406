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
      ["refused < limits.refusedConnections ?", "true ?"],
      ["      rules()?.get(Rules.connections) ??\n", ""],
      ["      peerConnections ??\n", ""],
      ["Math.min(limits.peerConnections, half())", "limits.peerConnections"],
      ["Math.max(1, Math.floor((connections ??", "(Math.floor((connections ??"],
      ["rules()?.get(memory) ?? peerMemory", "peerMemory"]
    ]
  },
  {
    file: "messages/MessageService.ts",
    tests: ["services/messages/memory"],
    mutants: [
      ["    memory.release(reserved)\n    reserved = 0\n", "    reserved = 0\n"],
      [
        "const needed = expected <= sessionLimits.unreservedBytes ? 0 : expected",
        "const needed = expected"
      ],
      ["if (!(yield* memory.reserveOrWait(limits.replyBytes)))", "if (false)"],
      ["Effect.sync(() => memory.release(limits.replyBytes))", "Effect.void"]
    ]
  },
  {
    file: "messages/ReplyCache.ts",
    tests: ["services/messages/replies"],
    mutants: [
      ["`${idKey(message)}${peer}`", "`${idKey(message)}`"],
      ["MutableList.length(ofPeer.keys) > limits.repliesPerPeer ||\n", ""],
      ["||\n      ofPeer.bytes > limits.bytesPerPeer", ""],
      ["this.#mostBytes.item", "ofPeer"],
      ["while (this.#bytes > limits.bytes)", "while (false)"]
    ]
  },
  {
    file: "messages/Largest.ts",
    tests: ["services/messages/largest"],
    mutants: [
      ["parent.size >= entry.size", "parent.size <= entry.size"],
      ["child.size <= entry.size", "child.size >= entry.size"],
      ["right.size > left.size", "right.size < left.size"],
      ["      this.#write(parent, at)\n", ""],
      ["if (last.item !== item) this.#place(last, position)", ""]
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
