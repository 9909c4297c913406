import { room } from "./Mutant.ts"

const unit = "services/transfer/"
const names = [`${unit}names`, `${unit}safePath`, `${unit}manifest`]
const whole = [`${unit}transfer`]
const hostile = [`${unit}hostile`]

export const transfer = room("services/transfer", [
  {
    file: "PushState.ts",
    tests: ["services/transfer/push"],
    mutants: [
      ['outcome === "exists" && this.#skips ? "skipped" : outcome', "outcome"],
      ["Math.min(this.#bytes, this.#bytesDone)", "0"],
      ["    this.#bytesDone = 0\n", ""]
    ]
  },
  {
    file: "Names.ts",
    tests: names,
    mutants: [
      ['if (name === "." || name === "..") return', 'if (name === ".") return'],
      ['  if (name.includes("\\\\")) return \'a name contains "\\\\"\'\n', ""],
      [
        "const control = /[\\u0000-\\u001f\\u007f-\\u009f]/",
        "const control = /[\\u0000-\\u001f\\u007f]/"
      ],
      ['  if (partial.test(name)) return "a name is reserved for partial files"\n', ""],
      ['name === "..").length > depth', 'name === "..").length > depth + 1'],
      ['firstName >= 0 && names.slice(firstName).includes("..")', "false"],
      [
        'path.normalize("NFC").toUpperCase().toLowerCase().normalize("NFC")',
        "path.toUpperCase().toLowerCase()"
      ],
      ['path.normalize("NFC").toUpperCase().toLowerCase()', 'path.normalize("NFC")'],
      [".toUpperCase().toLowerCase()", ".toLowerCase()"],
      ['unit === "/" ? 0 : code', "code"],
      ["code < 0xe000 ? code + 0x2000 : code - 0x800", "code"],
      ["[...stem].slice(0, -1)", 'stem.split("").slice(0, -1)']
    ]
  },
  {
    file: "SafePath.ts",
    tests: names,
    mutants: [
      ['name === ".." || name.includes("/")', 'name.includes("/")'],
      [
        "if (names.length > protocolLimits.depth)",
        "if (names.length > protocolLimits.depth + 1)",
        { equivalent: "child refuses the name beyond the depth, in the same words" }
      ],
      [
        "if (names.some(isTraversal)) return undefined",
        "if (names.every(isTraversal)) return undefined"
      ],
      ["return path.depth > protocolLimits.depth", "return false"]
    ]
  },
  {
    file: "Manifest.ts",
    tests: names,
    mutants: [
      ["if (mode > 0o777) return", "if (mode > 0o7777) return"],
      ['if (kind !== "file" && size !== 0) return', 'if (kind === "folder" && size !== 0) return'],
      [
        '>= 0)\n      return "the manifest is out of order"',
        '> 0)\n      return "the manifest is out of order"'
      ],
      ["if (this.#enclosing.length === 0) return", "if (false) return"],
      [
        "Names.targetProblem(target, parent.depth)",
        "Names.targetProblem(target, parent.depth + 1)"
      ],
      [
        "if (this.#collisionKeys.has(key)) this.collisions.add(this.entries.length)",
        "if (false) this.collisions.add(this.entries.length)"
      ],
      ["!this.#allowedNames.has(topName(path))", "false", { tests: hostile }],
      ['if (kind === "link" && !this.#allowsLinks)', "if (false)", { tests: hostile }],
      ["if (this.#manifestBytes > protocolLimits.manifestBytes) return tooLong", ""],
      ["Utf8.decode(body.subarray(start, end))", "body.subarray(start, end).toString()"]
    ]
  },
  {
    file: "PartialFile.ts",
    tests: [`${unit}partialFile`],
    mutants: [
      [
        "O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR, 0o600)\n  )",
        "O_CREAT | O_NOFOLLOW | O_RDWR, 0o600)\n  )"
      ],
      [
        "return openSync(file, O_RDWR | O_NOFOLLOW | O_NONBLOCK)",
        "return openSync(file, O_RDWR | O_NONBLOCK)"
      ],
      [
        "return openSync(file, O_RDWR | O_NOFOLLOW | O_NONBLOCK)",
        "return openSync(file, O_RDWR | O_NOFOLLOW)",
        { equivalent: "O_RDWR never waits for the other end of a FIFO on Linux" }
      ],
      ["pathOf(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)", "pathOf(name), O_RDONLY | O_NONBLOCK)"],
      ["pathOf(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)", "pathOf(name), O_RDONLY | O_NOFOLLOW)"],
      ["stats.uid !== (process.geteuid?.() ?? stats.uid)", "false"],
      ["!isCurrent || nlink !== 1) {", "!isCurrent) {"],
      ["current?.ino === ino && current.dev === dev", "current !== undefined"],
      ["if (unlock !== undefined && isCurrent) unlinkIfPossible(directory, partialName)", ""],
      ["if (size > entry.size) ftruncateSync(fd, 0)", ""],
      ["if (this.#isShared && status === undefined)", "if (false)"],
      ["if (overwrite) return renameSync(from, to)\n", "return renameSync(from, to)\n"],
      ["  }\n  unlinkSync(from)\n}", "  }\n}"],
      ["partial.peer !== tag ||", ""],
      ['|| partial.kind !== "0") continue', ") continue"],
      ["now - stats.ctimeMs > limits.leftoverMillis && unlinkIfPossible", "unlinkIfPossible"],
      ["partial?.peer === tag && partial.kind ===", "partial?.kind ==="],
      ["partial.name === stem && other !== current", "other !== current"],
      ["    if (unlock === undefined) return\n", ""],
      [
        "micros < 0 ? String((micros - 0.5) / 1e6) : (micros + 0.5) / 1e6",
        "micros / 1e6",
        { tests: [`${unit}fileTimes`] }
      ],
      ["`${path.text}\\0${size}\\0${mtime}`", "`${path.text}\\0${size}`"],
      ["    this.directory.pins--\n", ""],
      ["if (length !== size) ftruncateSync(this.fd, size)", ""],
      ["stats?.ino === this.#ino && stats.dev === this.#dev ? stats : undefined", "stats"],
      ["if (!this.#isShared || this.#status !== undefined)", "if (true)"],
      ["current?.ino === found.ino && unlinkIfPossible", "unlinkIfPossible"],
      [" || live.has(`${stats.dev}:${stats.ino}`)) continue", ") continue"],
      ["    live.delete(`${this.#dev}:${this.#ino}`)\n", ""],
      ["    this.charge.settle(0)\n", ""],
      ["this.charge.settle(costOf(size))", "this.charge.settle(0)"],
      ["costOf(status?.size ?? 0) - replacedCost", "costOf(status?.size ?? 0)"],
      ["wasThere ? costOf(size) : 0)", "costOf(size))"]
    ]
  },
  {
    file: "PartialFileLock.ts",
    tests: [`${unit}partialFile`],
    mutants: [
      ["if (held.has(key)) return Effect.succeed(undefined)", ""],
      ["          held.delete(key)\n          entry.remove()", "          held.delete(key)"],
      ["          held.delete(key)\n          entry.remove()", "          entry.remove()"],
      ["if (!isTaken) return own", "return own"],
      [
        "        unlinkIfThere(directory, name)\n        server?.close()",
        "        server?.close()"
      ],
      ["process.umask(0o177)", "process.umask(0o077)"],
      ['if (answer === "alive") return true', ""],
      ['answer === "unknown" && Date.now() - stats.mtimeMs', "Date.now() - stats.mtimeMs"],
      ["Date.now() - stats.mtimeMs < limits.lockStaleMillis) return true", "false) return true"],
      ['["ECONNREFUSED", "ended"],', ""],
      ['  ["EAGAIN", "alive"]\n', ""],
      ["          held.delete(key)\n          return undefined", "          return undefined"],
      ["if (attempt === limits.lockAttempts) return undefined", "return undefined"],
      ["Effect.sync(own.remove)", "Effect.void"],
      ["isOurKernel && stats.isSocket()", "stats.isSocket()"],
      ["partial?.name === stem && partial.kind === kinds.held", "partial?.name === stem"],
      ["utimesSync(directory.pathOf(name), new Date(), new Date())", ""],
      ["if (kind === kinds.held) yield* isAlive(directory, name)", ""],
      ["if (kind !== kinds.making) continue", ""],
      ["stats !== undefined && Date.now() - stats.mtimeMs > limits.leftoverMillis", "true"]
    ]
  },
  {
    file: "LockWait.ts",
    tests: [`${unit}identical`],
    mutants: [
      ["        yield* holder.end\n", ""],
      ["limits.foreignStalledMillis : limits.stalledMillis", "limits.foreignStalledMillis : 0"],
      [
        "limits.foreignStalledMillis : limits.stalledMillis",
        "limits.foreignStalledMillis : Number.POSITIVE_INFINITY"
      ],
      ["holder === undefined || holder === this.#ended", "true"],
      ["stats?.mtimeMs, holder?.progress()", "stats?.mtimeMs"]
    ]
  },
  {
    file: "Naming.ts",
    tests: [`${unit}identical`],
    mutants: [
      ['if (policy !== "rename" || count === limits.renameAttempts)', "if (true)"],
      ['cause.code === "EEXIST" ? Effect.succeed(false) :', ""],
      ['"same" : "same as"', '"same" : "same"']
    ]
  },
  {
    file: "Compare.ts",
    tests: [`${unit}identical`],
    mutants: [
      ["found === undefined || Buffer.compare(found, digest) !== 0", "found === undefined"],
      ["stats.size !== size) return undefined", "false) return undefined"],
      ["        yield* sync(fd)\n", ""]
    ]
  },
  {
    file: "CommitQueue.ts",
    tests: [`${unit}cutOff`],
    mutants: [
      ["while (!this.#isEmpty) yield* this.#commitBatch", ""],
      ["yield* Effect.uninterruptible(this.#commitBatch)", "yield* this.#commitBatch"],
      ["const cause = unwritten.get(file.partial)", "const cause = undefined"]
    ]
  },
  {
    file: "DurableReceipts.ts",
    tests: [`${unit}cutOff`],
    mutants: [
      ["        yield* this.#queue.drained\n", ""],
      ["(this.#isFull ? Effect.never : Effect.void)", "Effect.void"]
    ]
  },
  {
    file: "CreatedEntries.ts",
    tests: ["durability/order"],
    mutants: [["this.#unflushed.set(parent.text, parent)", ""]]
  },
  {
    file: "Sender.ts",
    tests: [`${unit}mixedStates`],
    mutants: [
      ['      if (!file.isUnchanged()) return yield* this.#skip(index, "changed")\n', ""],
      [
        "equalBlocks * protocolLimits.blockBytes >= size && file.isUnchanged()",
        "equalBlocks * protocolLimits.blockBytes >= size"
      ]
    ]
  },
  {
    file: "Quotas.ts",
    tests: [`${unit}quotas`],
    mutants: [
      ["if (usage.isCounted) return", ""],
      ["if (--usage.sessions === 0) this.#usages.delete(key)", "this.#usages.delete(key)"],
      ["Math.max(0, cost - credit - partial)", "Math.max(0, cost - credit)"],
      ["cost > 0 && usage.used + cost > limit", "usage.used + cost > limit"],
      [
        "usage.used + cost > limit) return false\n    usage.used += cost",
        "usage.used + cost > limit) return false"
      ],
      ["usage.used + cost > limit", "usage.used + cost > limit + 1"],
      ["Math.max(0, cost - credit - partial)", "cost - credit - partial"],
      ["sum += costOf(stats.isFile() ? stats.size : 0)", "sum += stats.isFile() ? stats.size : 0"],
      ["replaces === undefined || usage.replacing.has(replaces.path)", "replaces === undefined"],
      ["if (replacedPath !== undefined) usage.replacing.delete(replacedPath)", ""],
      ["        if (isSettled) return\n", ""],
      ["        onSettled?.()\n", ""],
      ["usage.used += taken - counted - reserved", "usage.used += taken - reserved"],
      ["if (!add(needed - reserved)) return false", ""],
      ["          reserved = needed\n", ""],
      ["          counted = partial\n", ""],
      ["if (name !== undefined && Names.isLock(name)) return", ""],
      ["if (stats.isDirectory() && name !== undefined)", "if (stats.isDirectory())"]
    ]
  },
  {
    file: "SafeDirectory.ts",
    tests: [`${unit}safeDirectory`],
    mutants: [
      [
        "constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW",
        "constants.O_RDONLY | constants.O_DIRECTORY"
      ],
      [
        "constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW",
        "constants.O_RDONLY | constants.O_NOFOLLOW"
      ],
      ["      this.get(at)\n      return false", "      return false"],
      [
        "if (directory.pins > 0 || directory === except) continue",
        "if (directory === except) continue"
      ]
    ]
  },
  {
    file: "DestinationCheck.ts",
    tests: [`${unit}destinationCheck`],
    mutants: [
      ['policy === "overwrite" && collisions.has(index) ? "refuse" : policy', "policy"],
      ["existing.isDirectory() || collisions.has(index)", "existing.isDirectory()"],
      ['existing.isFile() || policy === "rename" ||', 'policy === "rename" ||'],
      ['existing.isSymbolicLink() && policy === "overwrite"', "existing.isSymbolicLink()"],
      ['if (policy === "skip") return answerOnly("skipped")', ""],
      ['if (copy !== undefined && policy === "refuse") return', "if (false) return"],
      ['existing !== undefined && this.policyFor(index) === "overwrite"', "existing !== undefined"],
      ['if (!isSame && policy === "skip") return "skipped"', ""],
      ["this.#options.memory?.reserve(digestMemory(count)) === false", "false"],
      ["this.#heldDigests - count)", "0)"],
      ["if (!isMade) quota?.remove(costOf(0))", ""],
      ["this.#options.quota?.remove(PartialFile.costOfStatus(existing) - costOf(0))", ""],
      ["if (!charge.recount(partial.costBefore))", "if (false)"],
      ["isReplaced && isSmall", "isReplaced"],
      ["if (charge !== undefined || this.#outstanding === 0) return charge", "return charge"],
      [
        "if (charge !== undefined || this.#outstanding === 0) return charge",
        "if (charge !== undefined) return charge"
      ],
      ["        yield* this.beforeWaiting\n        const before", "        const before"],
      ["        this.#outstanding--\n", ""],
      ["        this.#settled.notify()\n", ""]
    ]
  },
  {
    file: "FileWalker.ts",
    tests: [`${unit}fileWalker`],
    mutants: [
      ['if (this.#enclosing.includes(id)) return yield* this.#leaveOut("link", sent.text)', ""],
      ['if (!stats.isFile()) return yield* this.#leaveOut("special", sent.text)', ""],
      [
        "return source === undefined ? undefined : this.add(this.#served, source, sent)",
        "return this.add(this.#served, source ?? SafePath.root, sent)"
      ],
      [
        "Names.targetProblem(target, sent.depth - 1) !== undefined",
        "Names.targetProblem(target, sent.depth) !== undefined"
      ],
      ["this.#manifestBytes > protocolLimits.manifestBytes", "false"],
      ["        !this.#memory.reserve(memory)\n", "        false\n"],
      ["!this.#memory.reserve(memoryOf(child))", "false"],
      [
        "        this.#memory.release(memoryOf(child))\n        yield* this.add",
        "        yield* this.add"
      ],
      ["            else this.#memory.release(memoryOf(child))\n", ""],
      ["if (listed.has(path)) this.#memory.release(memoryOf(path))", ""],
      ["if (name !== undefined && Names.isLock(name)) continue", ""],
      ["this.#leftOutBytes > protocolLimits.manifestBytes", "false"],
      ["const name = Utf8.decode(bytes)", "const name: string | undefined = bytes.toString()"]
    ]
  },
  {
    file: "SourceFile.ts",
    tests: [`${unit}sourceFile`],
    mutants: [
      [
        "constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK",
        "constants.O_RDONLY | constants.O_NONBLOCK"
      ],
      [
        "constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK",
        "constants.O_RDONLY | constants.O_NOFOLLOW"
      ],
      ["      mtimeMicros(stats) === entry.mtime &&\n", ""],
      ["      stats.ino === version.inode &&\n", ""],
      [" &&\n      stats.ctimeNs === version.changed", ""],
      ['=== 0 ? undefined : "unreadable"', "=== 0 ? undefined : undefined"]
    ]
  },
  {
    file: "Digest.ts",
    tests: [`${unit}digest`],
    mutants: [
      ["sha256(bytes.length > 0 ? sha256(sha256(bytes)) : bytes)", "sha256(sha256(sha256(bytes)))"],
      ["this.#pieces.length === piecesPerBlock", "this.#pieces.length > piecesPerBlock"],
      ["length - (length % protocolLimits.blockBytes)", "length"],
      ["if (piece.length === 0) return false", "if (piece.length === 0) return true"]
    ]
  },
  {
    file: "rules.ts",
    tests: [`${unit}rules`],
    mutants: [
      ['!value.split("/").some((name) => name === "." || name === "..")', "true"],
      ["[^/\\\\\\u0000-\\u001f\\u007f]+(?:", "[^\\\\\\u0000-\\u001f\\u007f]+(?:"]
    ]
  },
  {
    file: "FileService.ts",
    tests: [...whole, `${unit}sessions`],
    mutants: [
      ['yield* requireRules(session, allows("write", "writing"))', ""],
      ['yield* requireRules(session, allows("read", "reading"))', ""],
      ['if (push.policy === "overwrite") yield* requireRules(session, allowsOverwriting)', ""],
      ["    rules.get(folder) === opened ?", "    true ?"],
      ["(rules.get(fileQuota) ?? Infinity) >= (opened ?? Infinity)", "true"]
    ]
  },
  {
    file: "ManifestReader.ts",
    tests: [`${unit}manifestReader`, ...hostile],
    mutants: [
      ["if (!reserve(decoder.memory - before)) return yield* tooMuch()", ""],
      ["            leftOut.count > protocolLimits.entries ||\n", ""],
      ["if (!Messages.matchesTotals(body, decoder.entries.length, decoder.bytes))", "if (false)"]
    ]
  },
  {
    file: "AnswerReader.ts",
    tests: hostile,
    mutants: [
      ["!this.#isEndSent || (this.#awaitingReceipt.size > 0 && !dry)", "false"],
      ["if (this.#answers.length + answers.length > sources.length)", "if (false)"],
      ['return answer === "have" ? count > 0 : count === blockCount(size)', "return true"],
      ["if (!receipts.every(({ index }) => this.#awaitingReceipt.delete(index)))", "if (false)"]
    ]
  },
  {
    file: "IncomingFile.ts",
    tests: hostile,
    mutants: [
      ["if (size === 0 || length !== (isZeros ? 0 : size))", "if (size === 0)"],
      [
        "const isEqual = Buffer.compare(this.#digest.digest(), expected) === 0",
        "const isEqual = true"
      ],
      ["while (this.#writes.length > 0) yield* this.#oldestWrite", "", { tests: [`${unit}cutOff`] }]
    ]
  }
])
