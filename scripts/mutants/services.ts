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
    file: "messages/Rendezvous.ts",
    tests: ["services/messages/streams"],
    mutants: [
      ["          if (offered.isGone) return next\n", ""],
      [
        "settle(Exit.isSuccess(exit) ? Effect.void : Effect.fail(this.#unhandled()))",
        "settle(Effect.void)"
      ],
      [
        "settle(Exit.isSuccess(exit) ? Effect.void : Effect.fail(this.#unhandled()))",
        "settle(Effect.fail(this.#unhandled()))"
      ]
    ]
  },
  {
    file: "messages/jsonCodec.ts",
    tests: ["services/messages/schema"],
    mutants: [
      ["path.length === 0 ?", "true ?"],
      ["if (json === undefined) return", "if (false) return"]
    ]
  },
  {
    file: "messages/batches.ts",
    tests: ["services/messages/schema"],
    mutants: [["messages.map((message) => [message])", "[messages]"]]
  },
  {
    file: "messages/MessageSession.ts",
    tests: ["services/messages/memory", "services/messages/messages", "services/messages/replies"],
    mutants: [
      ["    this.#session.memory.release(this.#reserved)\n", ""],
      [
        "const needed = expected <= sessionLimits.unreservedBytes ? 0 : expected",
        "const needed = expected"
      ],
      ["if (memory.reserve(bytes)) return then()", "return then()"],
      ["    this.#session.memory.release(this.#reservedForReply)\n", ""],
      ["if (Exit.isSuccess(exit) && exit.value) return then()", "return then()"],
      ["    this.#isBlocked = true\n    this.#pause()\n", ""],
      ["    this.#waitingFor = fiber\n    this.#pause()\n", "    this.#waitingFor = fiber\n"],
      ["if (this.#isDraining && isBetween)", "if (this.#isDraining)"],
      ['if (!isBetween) return this.#tampered("FIN inside a message")', ""],
      ["this.#count(batch.slice(0, handled))", ""],
      ["if (peerSession !== undefined) spendBytes(peerSession, this.#decoder.held)", ""],
      ["return Effect.die(defect)", "throw defect"],
      ["while (!this.#isOver && !this.#isBlocked &&", "while (!this.#isOver &&"]
    ]
  },
  {
    file: "messages/BatchWriter.ts",
    tests: [
      "services/messages/messages",
      "services/messages/replies",
      "services/messages/delivery"
    ],
    mutants: [
      ["      if (this.#isFull) return this.#waitAndWrite(batch, onWrite)\n", ""],
      ["    for (const { fail } of this.#waiting) fail(error)\n", ""],
      ["        onWrite()\n        return error\n", "        return error\n"],
      ["      if (this.#isFull) return\n", ""]
    ]
  },
  {
    file: "messages/ReceiptReader.ts",
    tests: ["services/messages/messages", "services/messages/replies"],
    mutants: [
      ["if (!this.#receipts.isComplete) return", "if (false) return"],
      [
        "this.#fail(this.#receipts.refusal ?? error)\n        this.#writer",
        "this.#fail(error)\n        this.#writer"
      ],
      ["this.#timers.schedule(closeMillis, () => this.#fail(refusal))", "() => {}"]
    ]
  },
  {
    file: "announcedChannel.ts",
    tests: ["services/keyAnnouncement", "services/serverConnection"],
    mutants: [
      ["      isHeld = true\n      flow.pause()\n", "      isHeld = true\n"],
      ['if (error._tag === "Some") closed(error.value)', ""],
      ["if (!isPaused) flow.resume()", ""],
      ["      if (isHeld) held.push(event)\n      else if", "      if"],
      ["if (!isHeld) flow.resume()", "flow.resume()"]
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
