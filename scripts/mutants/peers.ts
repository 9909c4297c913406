import { room } from "./Mutant.ts"

export const peers = room("peers", [
  {
    file: "PeerLine.ts",
    tests: ["peers/lines", "peers/peers"],
    mutants: [
      ["quoted.includes(\"\\\\\") ? quoted.replaceAll('\\\\\"', '\"') : quoted", "quoted"],
      ["[^\\ufeff \\t]", "[^ \\t]"],
      [
        'if (close < 0) return { column: at + 2, detail: "unclosed quote" }',
        "if (close < 0) return line.length"
      ],
      ['line.endsWith("\\r") ? line.slice(0, -1) : line', "line"],
      ['if (next !== ",") return', "if (false) return"]
    ]
  },
  {
    file: "Peers.ts",
    tests: ["peers/peers"],
    mutants: [
      [
        "    if (before !== undefined)\n      return { column: key.column",
        "    if (false)\n      return { column: key.column"
      ],
      ["return namesake === undefined || namesake.address === peer.address", "return true"],
      [
        "address: Address.canonicalText(first.text)",
        "address: first.text",
        { tests: ["peers/knownPeers"] }
      ],
      ["one.spelling !== other.spelling &&", "true &&", { tests: ["peers/knownPeers"] }],
      ["  one.name !== other.name &&\n", "", { tests: ["peers/knownPeers"] }],
      ["  one.pin.revoked === undefined &&\n", "", { tests: ["peers/knownPeers"] }],
      [
        "Buffer.compare(one.publicKey, other.publicKey) !== 0",
        "true",
        { tests: ["peers/knownPeers"] }
      ],
      ["if (++number % itemsPerTurn === 0) yield", "++number", { tests: ["peers/turns"] }]
    ]
  },
  {
    file: "inTurns.ts",
    tests: ["peers/turns"],
    mutants: [
      ["return Effect.sync(() => clearImmediate(next))", "return Effect.void"],
      ["else next = setImmediate(step)", "else step()"]
    ]
  },
  {
    file: "PeerList.ts",
    tests: ["peers/turns"],
    mutants: [["if (index % itemsPerTurn === itemsPerTurn - 1) yield", ""]]
  },
  {
    file: "PeerName.ts",
    tests: ["peers/peerName"],
    mutants: [
      ["(?!.*\\p{Default_Ignorable_Code_Point})", ""],
      ["{0,63}$", "{0,64}$"],
      ["cut(name, maxLength - `-${count}`.length)", "name"]
    ]
  },
  {
    file: "OptionSpec.ts",
    tests: ["peers/lines", "peers/peers"],
    mutants: [
      ["    if (values.has(name)) return fault(column, `duplicate option ${name}`)\n", ""],
      ["value.replaceAll('\"', '\\\\\"')", "value"],
      [
        'text === "" ? Either.left("empty entry in this list") : decodeEntry(text)',
        "decodeEntry(text)"
      ],
      ["Number.isSafeInteger(number)", "true"],
      ["1024 ** units.indexOf(unit)", "1000 ** units.indexOf(unit)"]
    ]
  },
  {
    file: "Network.ts",
    tests: ["peers/peers"],
    mutants: [
      ["matching.length > 0 && matching.every", "matching.every"],
      ["matching.every(({ negated }) => !negated)", "matching.some(({ negated }) => !negated)"],
      ["family === address.family && address.bits", "address.bits"],
      ["return address === undefined ? undefined : unmapped(address)", "return address"],
      ["(?:%[^\\]]*)?", ""],
      ['return address.bits.includes("1", Number(mask))', "return false"],
      ["Number(mask) > maxBits", "Number(mask) > 128"]
    ]
  },
  {
    file: "Rules.ts",
    tests: ["peers/peers", "peers/combined"],
    mutants: [
      ["  if (rules.get(revoked)) return `its key is revoked (${where})`\n", ""],
      [
        "  if (rules.get(revoked)) return",
        "  if (rules.get(revoked) && rules.get(expiry) === undefined) return"
      ],
      [
        "  if (rules.get(revoked)) return",
        "  if (rules.get(revoked) && rules.get(from) === undefined) return"
      ],
      ["attempt.now >= expires", "attempt.now > expires"],
      [
        "allowed?.includes(attempt.service) === false",
        "allowed?.includes(attempt.service) === undefined"
      ],
      ["networks.every(({ negated }) => negated)", "networks.length === 0"]
    ]
  },
  {
    file: "Pin.ts",
    tests: ["peers/knownPeers"],
    mutants: [
      ['  if (revoked) return "revoked"\n', ""],
      ["now >= retires", "now > retires", { tests: ["peers/knownPeers", "peers/combined"] }],
      [
        "  if (pin.revoked) values = values.with(revoked, true)\n",
        "",
        { tests: ["peers/knownPeers", "peers/combined"] }
      ]
    ]
  },
  {
    file: "KnownPeers.ts",
    tests: ["peers/lines", "peers/knownPeers"],
    mutants: [
      ["known.pin.revoked && isSame(known.publicKey, publicKey)", "known.pin.revoked"],
      ["(peer !== undefined || !acceptNew)", "!acceptNew"],
      ["end(other) - end(one)", "end(one) - end(other)"],
      ["if (other !== undefined) return Either.left(changedError(file, other, publicKey))", ""],
      ["if (withdrawn !== undefined) return Either.left(withdrawn)", ""],
      ["text: isPinned ? text : PeerEdits", "text: PeerEdits"],
      ["!/\\s|^#/.test(address)", "!/\\s/.test(address)"]
    ]
  },
  {
    file: "withdrawnBy.ts",
    tests: ["peers/knownPeers"],
    mutants: [
      ["(peer.pin.revoked || (peer.address === address &&", "((peer.address === address &&"],
      ["peer.address === address && Pin", "Pin"]
    ]
  },
  {
    file: "LearnedKeys.ts",
    tests: ["peers/knownPeers"],
    mutants: [
      [
        "if (witness === undefined || withdrawnBy(peers, address, shown, now) !== undefined)",
        "if (witness === undefined)"
      ],
      ["announced.filter(({ retires = Infinity }) => retires > now)", "announced"],
      ["(peer.pin.revoked || peer.address === address)", "(peer.address === address)"],
      ["if ([witness, ...copies].some(", "if ([].some("],
      ["flatMap((line) => earlier(line, own))", "flatMap(() => [])"],
      ["peer.name === name && ", ""],
      ["&& !peer.pin.revoked\n", "\n"],
      ["? [{ line, retires: Math.floor(now / 1000) * 1000 }]\n", "? []\n"],
      ["Pin.refusal(line.pin, now) === undefined\n", "true\n"],
      ["    if (!line.pin.announced) return earlier(line, key)\n", ""],
      [
        "key.retires === line.pin.retires ? [] : [{ line, retires: key.retires }]",
        "earlier(line, key)"
      ],
      ["key.retires < (line.pin.retires ?? Infinity)", "true"],
      ["      pin.announced &&\n", ""],
      ["      Pin.refusal(pin, now) !== undefined &&\n", ""],
      ["slice(0, Math.max(0, unknown.length - free))", "slice(0)"],
      ["unknown.slice(0, Math.max(0, free + removed.length))", "unknown"],
      ["Pin.format({ ...dates, announced: true })", "Pin.format(dates)"],
      [
        "    if (expected === undefined) return undefined\n    const { edit: change, ...unchanged } = expected\n    if (change === undefined) return { address, file, ...unchanged }\n",
        ""
      ],
      ["const address = Address.canonicalText(given)", "const address = given"]
    ]
  },
  {
    file: "PeerEdits.ts",
    tests: ["peers/lines", "peers/peers"],
    mutants: [
      ['text === "" || text.endsWith("\\n") ? "" : newline', '""'],
      [
        "if (given === undefined) return withOption(whole, parts, option)\n",
        "",
        { tests: ["peers/knownPeers"] }
      ],
      ['options.length > 0 ? "," : " "', '" "'],
      ["options[at + 1] !== undefined || at === 0", "true", { tests: ["peers/knownPeers"] }]
    ]
  },
  {
    file: "PeerLock.ts",
    tests: ["peers/peers", "peers/lock"],
    mutants: [
      ["host !== here || isRunning(Number(pid))", "isRunning(Number(pid))"],
      ["age < Duration.toMillis(limits.stale) &&", "true &&"],
      ["() => true,\n            () => false", "() => true,\n            () => true"],
      ["    await remove(own)\n    return other", "    return other"],
      ["(own) => Effect.promise(() => remove(own))", "() => Effect.void"],
      ['!== "ESRCH"', '=== "EPERM"', { equivalent: "kill(pid, 0) fails with ESRCH or EPERM only" }],
      ["yield* Random.nextRange(0.1, 1)", "1", { tests: ["peers/lock"] }]
    ]
  },
  {
    file: "PeerFiles.ts",
    tests: ["peers/peers", "peers/lock"],
    mutants: [
      ["if (!(await lock.held())) throw", "if (false) throw"],
      ["if ((stats.mode & 0o022) !== 0)\n", "if (false)\n"],
      ["(stats.mode & 0o1000) === 0", "true"],
      ['checkOwner(folder, stats, "its folder ")', ""],
      [
        "constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY",
        "constants.O_RDONLY | constants.O_NOCTTY",
        { tests: ["peers/openFlags"] }
      ],
      ["    replaced,\n", "    replaced: undefined,\n"],
      ["if (changed.text === text) return changed.result", "", { tests: ["peers/openFlags"] }],
      [
        "throw new Error(`has more than ${maxFileBytes} bytes`)",
        "{}",
        { tests: ["peers/openFlags"] }
      ],
      [
        'if (!(await lock.held())) throw new Error("took too long to change; try again")',
        "",
        { tests: ["peers/lock", "peers/peers"] }
      ]
    ]
  },
  {
    file: "AuthorizedPeers.ts",
    tests: ["services/peerReload"],
    mutants: [
      ["text === before && !isRequested ? Option.none()", "!isRequested ? Option.none()"],
      ["text === before && !isRequested ? Option.none()", "text === before ? Option.none()"],
      ['    state === ""\n', "    false\n"]
    ]
  }
])
