import { room } from "./Mutant.ts"

export const channel = room("channel", [
  {
    file: "Hello.ts",
    tests: ["channel/formats"],
    mutants: [
      ["[version, suite.id, 0, 0]", "[suite.id, version, 0, 0]"],
      ["Buffer.compare(encode(suite), hello) === 0", "hello.length === helloBytes"],
      ["Math.min(...allSuites", "Math.max(...allSuites"],
      ['"sealwire noise v1\\0"', '"sealwire noise v1"'],
      [
        "[label, hello, prefixed(serverName), prefixed(application)]",
        "[label, prefixed(serverName), prefixed(application)]"
      ],
      [
        "[label, hello, prefixed(serverName), prefixed(application)]",
        "[label, hello, Buffer.from(serverName), Buffer.from(application)]"
      ]
    ]
  },
  {
    file: "ChannelRecord.ts",
    tests: ["channel/formats"],
    mutants: [
      ["  Control: 16", "  Control: 7"],
      ["[RecordType.Data, [1,", "[RecordType.Data, [0,"],
      ["[RecordType.Close, [17, 17]]", "[RecordType.Close, [17, 18]]"],
      [
        "[RecordType.Control, [1, protocolLimits.controlBytes]]",
        "[RecordType.Control, [1, protocolLimits.bodyBytes]]"
      ],
      ["    length > plaintext.length - headerBytes\n", "    length > plaintext.length\n"],
      ["    range === undefined ||\n    length < range[0] ||", "    range === undefined ||"],
      [
        "  if (plaintext.length < headerBytes) return undefined\n",
        "",
        {
          equivalent:
            "a shorter plaintext is no authenticated frame of at least 19 bytes, and its undefined length fails the range of every type"
        }
      ],
      ["target[offset + 1] = length >> 8", "target[offset + 1] = 0"]
    ]
  },
  {
    file: "Close.ts",
    tests: ["channel/wireVectors", "channel/formats"],
    mutants: [
      [
        "body.writeBigUInt64BE(BigInt(sent), 1)\n  body.writeBigUInt64BE(BigInt(received), 9)",
        "body.writeBigUInt64BE(BigInt(received), 1)\n  body.writeBigUInt64BE(BigInt(sent), 9)"
      ],
      ["sent: Number(view.readBigUInt64BE(1))", "sent: Number(view.readBigUInt64BE(9))"],
      ["  Refused: 4,", "  Refused: 6,"]
    ]
  },
  {
    file: "Padding.ts",
    tests: ["channel/formats"],
    mutants: [
      ["bytes >= 1 && bytes <=", "bytes >= 0 && bytes <="],
      ["Math.min(padme(length), protocolLimits.recordBytes)", "padme(length)"],
      ["Math.ceil(length / padding.bytes)", "Math.floor(length / padding.bytes)"],
      ["32 - Math.clz32(exponent)", "31 - Math.clz32(exponent)"]
    ]
  },
  {
    file: "ReplayFilter.ts",
    tests: ["channel/replayFilter"],
    mutants: [
      ["    this.#seen.add(key)\n", ""],
      ["this.#seen.size <= this.#capacity", "this.#seen.size < this.#capacity"],
      ["Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)", "Buffer.from(bytes.buffer)"],
      ["      this.#seen.delete(oldest)\n", "      this.#seen.clear()\n"]
    ]
  },
  {
    file: "Inbound.ts",
    tests: ["channel/released", "channel/streams"],
    mutants: [
      ["((chunk[at] as number) << 8) | (chunk[at + 1] as number)", "(chunk[at + 1] as number)"],
      [
        "chunk.length - at >= 2 + length",
        "chunk.length - at > 2 + length",
        { equivalent: "a frame that ends with its chunk is then copied, with the same result" }
      ],
      ["at += 2 + length", "at += 1 + length"],
      ["while (at < chunk.length && this.#violation === undefined)", "while (at < chunk.length)"],
      ["const minFrameBytes = headerBytes + tagLen", "const minFrameBytes = tagLen"],
      ["        this.#arrived = 0\n        this.#open(frame", "        this.#open(frame"],
      ['      this.#violation = "a record failed authentication"\n      return', "      return"],
      [
        "if (++this.#records % protocolLimits.recordsPerKey === 0) this.#cipher.rekey()",
        "++this.#records",
        { tests: ["channel/wireVectors"] }
      ],
      [
        "if (++this.#records % protocolLimits.recordsPerKey === 0)",
        "if (this.#records++ % protocolLimits.recordsPerKey === 0)",
        { tests: ["channel/wireVectors"] }
      ],
      [
        'if (record === undefined) this.#violation = "a malformed record"\n    else receive(record)',
        "if (record !== undefined) receive(record)"
      ]
    ]
  },
  {
    file: "Outbound.ts",
    tests: ["channel/released", "channel/streams"],
    mutants: [
      [
        "protocolLimits.recordsPerSession - 2",
        "protocolLimits.recordsPerSession",
        { tests: ["channel/exhausted"] }
      ],
      ["    if (bytes.length === 0) return\n", ""],
      ["part.length <= room ? part : part.subarray(0, room)", "part"],
      ["this.#onReleased.set(rest, released)", "released()"],
      [
        "      if (released !== undefined) this.#sealed.push(released)\n",
        "      if (released !== undefined) released()\n",
        { tests: ["channel/released"] }
      ],
      ["    this.#preface = empty\n", ""],
      [
        "while (this.#first < this.#pending.length && (!this.#full || all))",
        "while (this.#first < this.#pending.length)"
      ],
      [
        "while (this.#first < this.#pending.length && (!this.#full || all))",
        "while (this.#first < this.#pending.length && !this.#full)",
        { tests: ["channel/released"] }
      ],
      ["    this.#first = 0\n", ""],
      ["batch.length < limits.recordsPerWrite", "batch.length <= limits.recordsPerWrite"],
      [
        "parts.push(zeros.subarray(0, plaintextBytes - headerBytes - bytes))",
        "parts.push(zeros.subarray(0, plaintextBytes - bytes))"
      ],
      [
        "if (++this.#records % protocolLimits.recordsPerKey === 0) this.#cipher.rekey()",
        "++this.#records",
        { tests: ["channel/wireVectors"] }
      ],
      [
        "if (++this.#records % protocolLimits.recordsPerKey === 0)",
        "if (this.#records++ % protocolLimits.recordsPerKey === 0)",
        { tests: ["channel/wireVectors"] }
      ],
      ["out[at] = (plaintextBytes + tagLen) >> 8", "out[at] = plaintextBytes >> 8"],
      ["    this.#full = false\n    this.#sendFullRecords()", "    this.#sendFullRecords()"],
      [
        "if (error !== undefined) throw",
        "if (false) throw",
        {
          equivalent:
            "the cipher fails only after 2^64 records, and exhausted ends the session at 2^48"
        }
      ]
    ]
  },
  {
    file: "HandshakeDriver.ts",
    tests: ["channel/handshakeDriver", "channel/handshake"],
    mutants: [
      ["this.#input.length - this.#inputLength)", "this.#input.length)"],
      ["this.#finish(step.value, rest)", "this.#finish(step.value, new Uint8Array(0))"],
      [
        "        this.hasReceived = true\n",
        "",
        { tests: ["channel/handshake", "channel/refusalTime"] }
      ]
    ]
  },
  {
    file: "Possession.ts",
    tests: ["services/keyAnnouncement"],
    mutants: [
      [
        "        timingSafeEqual(proof, proofOf(shared, handshakeHash, publicKey, statement))",
        "        true"
      ],
      [
        "    .update(handshakeHash)\n",
        "",
        { tests: ["services/keyAnnouncement", "services/wireVectors"] }
      ],
      ["    .update(publicKey)\n", "", { tests: ["services/wireVectors"] }],
      ["    .update(statement)\n", ""],
      ["      own = undefined\n", ""]
    ]
  },
  {
    file: "ClientKeys.ts",
    tests: ["channel/clientKeys"],
    mutants: [
      ['typeof checkServer !== "function"', "checkServer === undefined"],
      ["if (identity === undefined && psk === undefined)", "if (false)"],
      ["if (serverKey !== undefined && serverKey.length !== keyBytes)", "if (false)"]
    ]
  },
  {
    file: "serverCheck.ts",
    tests: ["channel/clientKeys"],
    mutants: [
      ["accepted === true", "accepted !== false"],
      ["if (Effect.isEffect(verdict))", "if (verdict !== undefined)"],
      ["    Promise.resolve(verdict).catch(() => {})\n", ""]
    ]
  },
  {
    file: "sharedKey.ts",
    tests: ["channel/clientKeys"],
    mutants: [
      ["if (secret.length !== keyBytes)", "if (false)"],
      ["secret.isZero ?", "false ?"]
    ]
  },
  {
    file: "Handshake.ts",
    tests: ["channel/handshake"],
    mutants: [
      [
        "  if (!keys.suites.includes(suite)) return `suite ${suite.name} is not accepted here`\n",
        ""
      ],
      ["  if (rejection !== undefined) return rejection\n", "", { tests: ["channel/responsive"] }],
      ["    if (error !== undefined) return error\n  }\n  const length3", "  }\n  const length3"],
      ["      if (refused !== undefined) return refused\n", ""],
      [
        "if (length3 === undefined && validFirstMessages.isNew(frame)) markResponsive()",
        "if (length3 === undefined) markResponsive()",
        { tests: ["channel/responsive"] }
      ],
      [
        "if (length3 === undefined && validFirstMessages.isNew(frame)) markResponsive()",
        "if (validFirstMessages.isNew(frame)) markResponsive()",
        { tests: ["channel/responsive"] }
      ],
      ["    markResponsive()\n  }", "  }", { tests: ["channel/responsive"] }],
      [
        "authorization.client?.name ?? sharedKeyName",
        "sharedKeyName ?? authorization.client?.name",
        { tests: ["channel/rotation"] }
      ],
      [
        "    if (psks.length === 0) return error\n",
        "",
        { tests: ["channel/rotation", "channel/handshake"] }
      ],
      [
        '!== length)\n    return "a handshake frame of the wrong length"',
        '< 0)\n    return "a handshake frame of the wrong length"'
      ],
      [
        'return payload.length === 0 ? undefined : "a handshake payload that is not empty"',
        "return undefined"
      ],
      [
        "    : [suite.hasIdentities ? identities[0] : undefined]",
        "    : identities",
        { tests: ["channel/rotation"] }
      ],
      ["!PublicKey.isCanonical(state.remoteStatic)", "false"],
      [
        "      if (invalid !== undefined) return invalid\n",
        "",
        { tests: ["channel/clientKeys", "channel/handshake"] }
      ]
    ]
  },
  {
    file: "Authorization.ts",
    tests: ["channel/rotation", "services/serverLayer"],
    mutants: [
      ["wanted !== undefined && name === wanted", "name === wanted || wanted !== undefined"],
      ["if (!this.#suite.hasSharedKey) return", "if (false) return"],
      ["if (!this.#keys.psks?.some(({ name }) => name === sharedKey))", "if (false)"],
      ["this.#used === undefined || this.#used.name === sharedKey", "true"],
      ['lookUp.result ?? "its look-up gave no result"', '{ name: "anybody" }'],
      ["this.client ?? authorize(", "authorize("]
    ]
  },
  {
    file: "HandshakeDriver.ts",
    tests: ["channel/handshakeDriver"],
    mutants: [
      ["    this.#cancelLookUp()\n", ""],
      ["        if (this.#isDone) return\n        if (Exit", "        if (Exit"],
      ["    this.#flow.pause()\n", ""],
      ["        this.#flow.resume()\n", ""]
    ]
  },
  {
    file: "Channel.ts",
    tests: ["channel/handshake"],
    mutants: [
      [
        "driver?.hasReceived === false && isEarly()",
        "driver?.hasReceived === false",
        { tests: ["channel/refusalTime"] }
      ],
      [
        "driver?.hasReceived === false && isEarly()",
        "isEarly()",
        { tests: ["channel/refusalTime"] }
      ],
      [
        "const startedAt = dialedAt ?? timers.monotonic",
        "const startedAt = timers.monotonic",
        { tests: ["channel/refusalTime"] }
      ],
      ["if (refusal !== undefined)", "if (false)", { tests: ["channel/clientKeys"] }],
      [
        "return Exit.isFailure(exit) ? Effect.void : close(state)",
        "return close(state)",
        { tests: ["channel/channel", "channel/ends"] }
      ],
      [
        "timers.schedule(handshakeMillis, () => state.timedOut())",
        "() => {}",
        { tests: ["channel/closeDeadline"] }
      ]
    ]
  },
  {
    file: "ServerHandshake.ts",
    tests: ["channel/handshake"],
    mutants: [
      [
        "limits.refusalQuantumMillis - (this.#elapsed % limits.refusalQuantumMillis)",
        "limits.refusalQuantumMillis",
        { tests: ["channel/refusalTime", "channel/handshake"] }
      ],
      [
        "limits.refusalQuantumMillis - (this.#elapsed % limits.refusalQuantumMillis)",
        "0",
        { tests: ["channel/refusalTime"] }
      ],
      ["      flow.stop(new Uint8Array(0))\n", ""],
      ['    if (!this.#driver.hasReceived) return this.#refuse("no data received")\n', ""],
      ['      this.#refuse("timed out")\n', "      {}\n"],
      ["        connection.markAuthenticated()\n", "", { tests: ["channel/responsive"] }],
      [
        '      this.#refuse("this server is shutting down")\n',
        "      {}\n",
        { tests: ["channel/responsive"] }
      ],
      ["      this.#reset?.()\n", "", { tests: ["services/teardown"] }]
    ]
  },
  {
    file: "KeepAlive.ts",
    tests: ["channel/idlePace", "channel/keepalive"],
    mutants: [
      ["misses > pace.misses", "misses >= pace.misses"],
      [
        "misses = hasReceived || state.busy ? 0 : misses + 1",
        "misses = hasReceived ? 0 : misses + 1"
      ],
      [
        "stalled = state.blocked && !state.hasDrained ? stalled + 1 : 0",
        "stalled = state.blocked ? stalled + 1 : 0"
      ],
      ["if (!hasReceived || pace.alwaysPing) state.ping()", "state.ping()"],
      [
        "if (!hasReceived || pace.alwaysPing) state.ping()",
        "if (!hasReceived) state.ping()",
        { tests: ["channel/idlePace"] }
      ],
      [
        "pace = isIdle ? paces.idle : paces.normal",
        "pace = paces.idle",
        { tests: ["channel/idlePace"] }
      ]
    ]
  },
  {
    file: "ChannelItem.ts",
    tests: ["channel/ends"],
    mutants: [
      [
        "if (item !== undefined) this.bytes -= sizeOf(item)",
        "if (item !== undefined) this.bytes -= 1",
        { tests: ["channel/receiveQueue"] }
      ],
      [
        "itemOverhead + (item instanceof Control ? item.body : item).buffer.byteLength",
        "(item instanceof Control ? item.body : item).length",
        { tests: ["channel/receiveQueue"] }
      ]
    ]
  },
  {
    file: "ChannelState.ts",
    tests: ["channel/ends"],
    mutants: [
      [
        "this.#closing.wasOpen || type === RecordType.Ready\n",
        "true\n",
        { tests: ["channel/handshake"] }
      ],
      [
        '      if (channel.#opening !== undefined && body.length > 0)\n        return "a READY of a server that is not empty"\n',
        "",
        { tests: ["channel/handshake"] }
      ],
      [
        'isUtf8(body) ? Buffer.from(body).toString() : "\\uFFFD"',
        "Buffer.from(body).toString()",
        { tests: ["channel/handshake"] }
      ],
      ['      if (channel.#closing.wasOpen) return "a second READY"\n', ""],
      [
        '      if (channel.#reading.isFinished) return "DATA or CONTROL after FIN"\n      channel.#reading.add(body, body.length)',
        "      channel.#reading.add(body, body.length)"
      ],
      ["add(body, body.length)", "add(body, 0)"],
      [
        "add(new Control(body), 0)",
        "add(new Control(body), body.length)",
        { tests: ["channel/channel"] }
      ],
      ['      if (channel.#reading.isFinished) return "a second FIN"\n', ""],
      [
        '      if (decodeFin(body) !== channel.#reading.received) return "a FIN with a wrong total"\n',
        ""
      ],
      ['      if (sent !== channel.#reading.received) return "a CLOSE with a wrong total"\n', ""],
      ["if (code === CloseCode.Done) channel.#reading.finish()", "channel.#reading.finish()"],
      [
        "code === CloseCode.Done)\n    this.#end({",
        "true)\n    this.#end({",
        { tests: ["channel/exhausted"] }
      ],
      ["    if (wasOpen) this.#flow.reset()\n", "", { tests: ["channel/ends"] }]
    ]
  },
  {
    file: "Reading.ts",
    tests: ["channel/ends"],
    mutants: [
      ["    if (this.#unread.bytes >= limits.unreadBytes) this.#flow.pause()\n", ""],
      [
        "    if (this.#unread.bytes < limits.unreadBytes / 2) this.#flow.resume()\n",
        "",
        { tests: ["channel/channel"] }
      ],
      ["(this.isFinished && !isComplete)", "!isComplete"]
    ]
  },
  {
    file: "Writing.ts",
    tests: ["channel/ends"],
    mutants: [
      [
        'if (this.#isBlocked || this.#state === "unready") this.#isPongPending = true',
        "if (this.#isBlocked) this.#isPongPending = true",
        { tests: ["channel/handshake"] }
      ],
      [
        'if (this.#isBlocked || this.#state === "unready") this.#isPongPending = true',
        'if (this.#state === "unready") this.#isPongPending = true',
        { tests: ["channel/keepalive"] }
      ],
      [
        "if (!this.#outbound.exhausted) return undefined",
        "if (true) return undefined",
        { tests: ["channel/exhausted"] }
      ],
      [
        'if (this.#state === "finished" || this.#closing.isClosedByPeer) return Effect.void',
        'if (this.#state === "finished") return Effect.void'
      ]
    ]
  },
  {
    file: "Closing.ts",
    tests: ["channel/ends"],
    mutants: [
      ["new StreamTruncated({ peer, code })", "new ChannelClosed({ peer, reason: code })"],
      [
        "    if (!this.isEnded) this.#state =",
        "    this.#state =",
        { equivalent: "ChannelState.#end, its one caller, asks before" }
      ],
      [
        'subject.isAccepted ? "interrupted" : "key refused"',
        '"key refused"',
        { tests: ["channel/handshake"] }
      ],
      [
        'subject.isAccepted ? "interrupted" : "key refused"',
        '"interrupted"',
        { tests: ["channel/handshakeFailure"] }
      ]
    ]
  }
])
