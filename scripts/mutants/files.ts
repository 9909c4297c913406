import { room } from "./Mutant.ts"

export const files = room("files", [
  {
    file: "Cobblestone.ts",
    tests: ["files/chunks", "files/cobblestone"],
    mutants: [
      [
        "timingSafeEqual(commitment, prefix.subarray(saltBytes, prefixBytes)) ? keys : undefined",
        "keys"
      ],
      ["    salt,\n    context\n", "    salt\n"],
      [
        "expand(inputKey, info, keyBytes + nonceBytes + commitmentBytes)",
        "expand(inputKey, info, keyBytes + commitmentBytes + nonceBytes).reverse()"
      ],
      ["(nonce.readUInt32BE(4) ^ high) >>> 0, 4", "(nonce.readUInt32BE(4) ^ 0) >>> 0, 4"],
      ["(nonce.readUInt32BE(8) ^ low) >>> 0, 8", "low >>> 0, 8"],
      ["index >= maxChunks", "index > maxChunks"],
      ["    target.fill(0, offset, offset + end)\n", ""],
      [
        "(Math.floor(plaintextBytes / chunkBytes) + 1) * tagBytes",
        "Math.ceil(plaintextBytes / chunkBytes) * tagBytes"
      ],
      ["return last < tagBytes\n", "return last < 0\n"],
      ["if (inputKey.length !== keyBytes)", "if (inputKey.length < keyBytes)"],
      ["if (salt.length !== saltBytes)", "if (false)"]
    ]
  },
  {
    file: "Sealer.ts",
    tests: ["files/chunks", "files/cobblestone"],
    mutants: [
      ["    this.#isFinished = true\n", ""],
      [
        "if (this.#index + full >= maxChunks) throw",
        "if (false) throw",
        { equivalent: "2^38 chunks are four pebibytes; sealChunk refuses the index as well" }
      ],
      ["this.#index++, rest.subarray(0, chunkBytes)", "this.#index, rest.subarray(0, chunkBytes)"],
      ["this.#pendingBytes = 0\n      rest", "rest"],
      ["for (; rest.length >= chunkBytes;", "for (; rest.length > chunkBytes;"]
    ]
  },
  {
    file: "Opener.ts",
    tests: ["files/chunks", "files/cobblestone"],
    mutants: [
      ["if (this.#failure !== undefined) return this.#failure\n    const whole", "const whole"],
      ['if (end < 0) return (this.#failure = "changed")', 'if (end < 0) return "changed"'],
      [
        'if (this.#pendingBytes < tagBytes) return (this.#failure = "truncated")',
        "if (this.#pendingBytes === 0) return new Uint8Array(0)"
      ],
      ["return end < 0 ? this.#failure : last", "return last"],
      ['if (keys === undefined) return "wrong key"', 'if (keys === undefined) return "changed"']
    ]
  },
  {
    file: "Header.ts",
    tests: ["files/encryptedFile"],
    mutants: [
      ["Buffer.compare(encode(header), bytes) === 0", "true"],
      ["list.length === 0 ||", ""],
      ["length === stanzaBytes", "length >= stanzaBytes"],
      ["rekeyed: members.rekeyed === true", "rekeyed: false"],
      ["list.length > maxStanzas", "list.length > limits.recipients"]
    ]
  },
  {
    file: "Prelude.ts",
    tests: ["files/rekey", "files/encryptedFile", "files/wireVectors"],
    mutants: [
      ["headerLength === 0 || headerLength > limits.headerBytes", "headerLength === 0"],
      ["return version > current &&", "return version >= current &&"],
      [
        "sealMessage(headerKey.expose(), context, payloadKey.expose())",
        "sealMessage(headerKey.expose(), magic, payloadKey.expose())"
      ],
      [
        'return typeof payloadKey === "string" ? undefined : payloadKey',
        'return typeof payloadKey === "string" ? Buffer.alloc(32) : payloadKey'
      ]
    ]
  },
  {
    file: "Stanzas.ts",
    tests: ["files/stanzas", "files/encryptedFile"],
    mutants: [
      ["count.writeUInt16BE(stanzas)", "count.writeUInt16BE(1)"],
      ["if (kind !== FileKey)", "if (false)"],
      ["shuffled(unique)", "unique"],
      ["const other = randomInt(last + 1)", "const other = last === 1 ? 0 : randomInt(last + 1)"],
      ["unique.length === 0 || unique.length > limits.recipients", "unique.length === 0"],
      [
        "onLeft: ({ detail }) => new PassphraseRefused({ reference, detail })",
        "onLeft: () => Effect.succeed([payload])"
      ],
      [
        "ProtectedKey.decode(stanzas[0] ?? noBytes, limits.scrypt)",
        "ProtectedKey.decode(stanzas[0] ?? noBytes)"
      ],
      ["sender: state.remoteStatic,", "sender: undefined,"],
      ["reader: s.publicKey\n", "reader: undefined\n"],
      ["keys.check?.(header.kind) ?? Effect.void", "Effect.void"],
      ["Buffer.compare(key, other) === 0) === index", "Buffer.compare(key, other) === 0) <= index"]
    ]
  },
  {
    file: "EncryptedFile.ts",
    tests: ["files/encryptedFile", "files/wireVectors"],
    mutants: [
      ["context: Prelude.magic,", "context: new Uint8Array(0),"],
      ["if (version !== undefined) return yield* new FileFromNewer({ file, version })", ""],
      ["if (fixed.length + rest.length < length) return yield* new FileTruncated({ file })", ""],
      [
        "new Secret(payload.key), true)",
        "new Secret(payload.key), false)",
        { tests: ["files/rekey"] }
      ],
      [
        "const headerKey = Secret.random(Prelude.keyBytes)",
        "const headerKey = payloadKey",
        { tests: ["files/rekey"] }
      ],
      [
        "...(yield* newPrelude(to, payloadKey, false))",
        "...(yield* newPrelude(to, payloadKey, true))"
      ]
    ]
  },
  {
    file: "Payload.ts",
    tests: ["files/library"],
    mutants: [
      ["if (plaintextLength(bytes) === undefined) return yield* new FileTruncated({ file })", ""],
      [
        "Stream.suspend(() => Stream.fromEffect(orFail(opener.finish())))",
        "Stream.empty",
        { tests: ["files/encryptedFile"] }
      ],
      ["input: { fd: input.file.fd, offset: 0 },", "input: { fd: input.file.fd, offset: 1 },"],
      [
        "counter.current = () => Math.min(job.bytes, state.doneBatches * batch)",
        "counter.current = () => state.doneBatches * batch",
        { tests: ["files/library"] }
      ]
    ]
  },
  {
    file: "RandomAccess.ts",
    tests: ["files/library"],
    mutants: [
      ["    if (last === undefined)\n", "    if (false)\n"],
      ["Math.min(start + length, size)", "start + length"],
      ["start - first * chunkBytes, end", "0, end"],
      ["    if (chunk === undefined) return undefined\n", "    if (chunk === undefined) continue\n"]
    ]
  },
  {
    file: "Output.ts",
    tests: ["files/output", "files/library"],
    mutants: [
      [
        "overwrite ? rename(temporary, target) : linkNew(temporary, target)",
        "rename(temporary, target)"
      ],
      ["          await unlink(temporary).catch(() => {})\n", ""],
      ['if (!overwrite) throw withCode("EEXIST")', ""],
      ["if (!replaced.isFile())", "if (false)"],
      [
        "const target = await RealPath.resolve(file).catch(",
        "const target = await Promise.resolve(file).catch("
      ]
    ]
  },
  {
    file: "workers/ChunkJob.ts",
    tests: ["files/library"],
    mutants: [
      [
        "return Atomics.add(this.#cells, cells.next, 1)",
        "return Atomics.load(this.#cells, cells.next)"
      ],
      ["Math.floor(bytes / inputBytes) + 1", "Math.ceil(bytes / inputBytes)"],
      ["output.offset + first * outputBytes", "output.offset + first * inputBytes"],
      ["if (moved === 0) return inputEndedEarly", "if (moved === 0) return undefined"]
    ]
  },
  {
    file: "Input.ts",
    tests: ["files/library", "files/encryptedFile"],
    mutants: [
      ["Option.isSome(end) ? Effect.fail(end.value) : Effect.succeedNone", "Effect.succeedNone"],
      [
        "Number(now.size) === stats.size && now.ctimeNs === ctimeNs",
        "now.ctimeNs === ctimeNs",
        { equivalent: "every change of the length changes the ctime" }
      ],
      [
        "Number(now.size) === stats.size && now.ctimeNs === ctimeNs",
        "Number(now.size) === stats.size"
      ],
      ["buffered = buffered.subarray(taken.length)", "buffered = new Uint8Array(0)"]
    ]
  }
])
