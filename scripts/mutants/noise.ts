import { room } from "./Mutant.ts"

export const noise = room("noise", [
  {
    file: "CipherState.ts",
    tests: ["noise/cipherState"],
    mutants: [
      ["export const tagLen = 16", "export const tagLen = 15"],
      ["export const maxMessageBytes = 65_535", "export const maxMessageBytes = 65_534"],
      ["if (key.length !== keyLen)", "if (key.length < keyLen)"],
      ["(BigInt(this.#high) << 32n) | BigInt(this.#low)", "BigInt(this.#low)"],
      ["this.#high = Number(nonce >> 32n)", "this.#high = 0"],
      ["nonceOfCall.writeUInt32BE(this.#high, 4)", "nonceOfCall.writeUInt32LE(this.#high, 4)"],
      [
        "this.#check(plaintext.reduce((sum, { length }) => sum + length, tagLen))",
        "this.#check(plaintext.reduce((sum, { length }) => sum + length, 0))"
      ],
      ["    if (ad.length > 0) cipher.setAAD(ad)\n", ""],
      ["    if (ad.length > 0) decipher.setAAD(ad)\n", ""],
      ["end += part.length", "end += 0"],
      [
        "target.set(cipher.getAuthTag(), end)\n    this.#advance()",
        "target.set(cipher.getAuthTag(), end)"
      ],
      [
        'if (ciphertext.length < tagLen) return this.#end("too short")',
        'if (ciphertext.length <= tagLen) return this.#end("too short")'
      ],
      ['    } catch {\n      return this.#end("decrypt failed")\n    }', "    } catch {}"],
      [
        '    } catch {\n      return this.#end("decrypt failed")\n    }',
        '    } catch {\n      return "decrypt failed"\n    }'
      ],
      [
        "    decipher.setAuthTag(ciphertext.subarray(ciphertext.length - tagLen))",
        "    this.#advance()\n    decipher.setAuthTag(ciphertext.subarray(ciphertext.length - tagLen))"
      ],
      ["Buffer.alloc(12, 0xff)", "Buffer.alloc(12, 0xfe)"],
      ["    nonce.fill(0, 0, 4)\n", ""],
      ["    this.#k = createSecretKey(next)\n", ""],
      [
        "    this.#k = createSecretKey(next)\n",
        "    this.#k = createSecretKey(next)\n    this.setNonce(0n)\n"
      ],
      ['    if (this.#ended) return "out of turn"\n', ""],
      ["if (length > maxMessageBytes)", "if (length >= maxMessageBytes)"],
      ["this.#low === maxUint32 && this.#high === maxUint32", "this.#low === maxUint32"],
      ["this.#low === maxUint32 && this.#high === maxUint32", "false"],
      ["if (this.#low < maxUint32) this", "if (this.#low <= maxUint32) this"],
      ["this.setNonce(this.n + 1n)", "this.#low = 0"],
      [
        "const gcmOptions = { authTagLength: tagLen }",
        "const gcmOptions = {}",
        { equivalent: "the tag is always cut to 16 bytes before it is set" }
      ]
    ]
  },
  {
    file: "Dh.ts",
    tests: ["noise/handshakeState", "noise/noise"],
    mutants: [
      ['    return "low-order point"', "    return Buffer.alloc(32)"],
      ["export const dhLen = 32", "export const dhLen = 33"],
      ["kept.size <= keptResults", "kept.size < keptResults", { tests: ["noise/staticDh"] }],
      ["    kept.delete(oldest)\n", "    break\n", { tests: ["noise/staticDh"] }]
    ]
  },
  {
    file: "HandshakeState.ts",
    tests: ["noise/handshakeState", "noise/noise"],
    mutants: [
      ["    this.#symmetric.mixHash(prologue)\n", ""],
      ["initiator ? [s?.publicKey, rs] : [rs, s?.publicKey]", "[s?.publicKey, rs]"],
      ["    if (initiatorPre.length > 0) this.#symmetric.mixHash(initiatorS as Uint8Array)\n", ""],
      ["    if (responderPre.length > 0) this.#symmetric.mixHash(responderS as Uint8Array)\n", ""],
      ["return !this.#ended && this.#messageIndex ===", "return this.#messageIndex ==="],
      [
        "return !this.finished && (this.#messageIndex % 2",
        "return (this.#messageIndex % 2",
        {
          equivalent:
            "after the last message #tokens is undefined, so that nothing can be written or read"
        }
      ],
      [
        "return message.length > maxMessageBytes ? this",
        "return message.length > maxMessageBytes + 1 ? this"
      ],
      ['    if (message.length > maxMessageBytes) return this.#end("too long")\n', ""],
      ["(this.#symmetric.hasKey ? tagLen : 0)", "tagLen"],
      ['      if (rest.length < length) return this.#end("too short")\n', ""],
      ["      if (error !== undefined) return this.#end(error)\n", ""],
      ["if (isNoiseError(part)) return this.#end(part)", "if (isNoiseError(part)) return part"],
      ["return isNoiseError(payload) ? this.#end(payload) : payload", "return payload"],
      ['    if (!this.finished) return "out of turn"\n', ""],
      ["    this.#ended = true\n    const [first, second]", "    const [first, second]"],
      ["{ send: second, receive: first }", "{ send: first, receive: second }"],
      ["if (this.#ended || tokens === undefined", "if (tokens === undefined"],
      ["|| this.myTurn !== writing)", ")"],
      ["this.#e ??= generate()", "this.#e = generate()"],
      ["    if (this.#protocol.psks > 0) this.#symmetric.mixKey(publicKey)\n", ""],
      ["this.#psks.shift() as Psk", "this.#psks[0] as Psk"],
      [
        "const [localKey, remoteKey] = this.#initiator ? token : [token[1], token[0]]",
        "const [localKey, remoteKey] = token"
      ],
      ["    this.#symmetric.mixKey(shared)\n", ""],
      ["(localPre.length > 0 || written.some", "(written.some"],
      [
        "if (remotePre.length > 0 && this.#rs?.length !== dhLen)",
        "if (remotePre.length > 0 && this.#rs === undefined)"
      ],
      ["this.#psks.length !== psks ||", "this.#psks.length < psks ||"],
      [
        'typeof psk !== "function" && psk.length !== 32',
        'typeof psk !== "function" && psk.length > 32'
      ],
      ["      this.#rs = Buffer.from(rs)\n", ""]
    ]
  },
  {
    file: "Pattern.ts",
    tests: ["noise/patterns", "noise/noise"],
    mutants: [
      [
        'K1K1: "-> s | <- s | ... | -> e | <- e, ee, es | -> se"',
        'K1K1: "-> s | <- s | ... | -> e | <- e, es, ee | -> se"'
      ],
      ['I1X1: "-> e, s | <- e, ee, s | -> se, es"', 'I1X1: "-> e, s | <- e, ee, s | -> es, se"'],
      ['X: "<- s | ... | -> e, es, s, ss"', 'X: "<- s | ... | -> e, es, s"'],
      [
        "oneWay: name.length === 1",
        "oneWay: false",
        {
          equivalent:
            "only tests read it: the channel uses no one-way pattern, and Split is the same"
        }
      ],
      ["  if (new Set(positions).size !== positions.length) return undefined\n", ""],
      ["position > pattern.messages.length", "position > pattern.messages.length + 1"],
      ["index === 0 && positions.includes(0)", "positions.includes(0)"],
      ["positions.includes(index + 1)", "positions.includes(index)"]
    ]
  },
  {
    file: "Protocol.ts",
    tests: ["noise/patterns", "noise/noise"],
    mutants: [
      ["match?.[3] !== algorithms", "match?.[3] === undefined"],
      ["  if (found === undefined) throw new TypeError(`unknown Noise pattern ${pattern}`)\n", ""],
      ["psks: positions.length }", "psks: Math.min(positions.length, 1) }"]
    ]
  },
  {
    file: "SymmetricState.ts",
    tests: ["noise/symmetricState", "noise/noise"],
    mutants: [
      ["Buffer.from([1]), Buffer.from([2])", "Buffer.from([2]), Buffer.from([1])"],
      ["Buffer.from([3])]", "Buffer.from([4])]"],
      ["hmac(tempKey, output1, counters[1])", "hmac(tempKey, counters[1])"],
      ["name.length <= hashLen", "name.length < hashLen"],
      [
        "name.length <= hashLen ? Buffer.concat([name], hashLen) : hash(name)",
        "Buffer.concat([name], hashLen)"
      ],
      ["    this.#ck = ck\n    this.#setKey(tempK)", "    this.#setKey(tempK)"],
      ["    this.mixHash(tempH)\n", ""],
      ["    this.#k = tempK\n    this.#cipher = undefined\n", "    this.#k = tempK\n"],
      [".encryptWithAd(this.#h, plaintext)", ".encryptWithAd(new Uint8Array(0), plaintext)"],
      ["    if (!isNoiseError(ciphertext)) this.mixHash(ciphertext)\n", ""],
      [
        "if (!isNoiseError(plaintext)) this.mixHash(ciphertext)",
        "if (!isNoiseError(plaintext)) this.mixHash(plaintext)"
      ],
      [
        "for (const secret of [this.#ck, tempK1, tempK2]) secret.fill(0)",
        "for (const secret of [tempK1, tempK2]) secret.fill(0)"
      ]
    ]
  }
])
