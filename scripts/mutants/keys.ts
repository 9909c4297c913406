import { room } from "./Mutant.ts"

export const keys = room("keys", [
  {
    file: "KeyText.ts",
    tests: ["keys/texts", "keys/file"],
    mutants: [
      ["secret.slice(0, kind.nonZeroBytes).isZero", "secret.isZero"],
      ["if (content.length > maxKeyText)", "if (false)"],
      [
        "if (kind.raw && content.length === kind.length) return Either",
        "if (content.length === kind.length) return Either"
      ],
      ["if (lines.length > 1)", "if (lines.length > 2)"],
      ["  if (named !== undefined && named !== kind) return wrongKind(named, kind)\n", ""],
      [
        "kind.raw && line.length === kind.length * 2 ? Hex",
        "line.length === kind.length * 2 ? Hex"
      ],
      [
        'if (decoded === undefined)\n    return reject(\n      "damaged"',
        'if (decoded === undefined)\n    return reject(\n      "wrong kind"'
      ],
      ["return decoded.bytes.length === kind.length", "return decoded.bytes.length >= kind.length"],
      ['  if (PublicKey.decode(lines[0] ?? "") !== undefined) return isPublicKey(kind)\n', ""],
      ["  if (decodePublicPem(text) !== undefined) return isPublicKey(kind)\n", ""]
    ]
  },
  {
    file: "ProtectedKey.ts",
    tests: ["keys/protected"],
    mutants: [
      ["if (foundVersion !== version)", "if (foundVersion < version)"],
      ["payload.length <= headerBytes + tagBytes", "payload.length < headerBytes"],
      ["|| scrypt[name] > bounds[name][1]", ""],
      ["scrypt[name] < bounds[name][0] ||", ""],
      ["  decipher.setAAD(header)\n", ""],
      [
        '    plaintext.fill(0)\n    return reject("wrong passphrase", "the passphrase is wrong")',
        ""
      ],
      ["return secret.length === kind.length\n", "return true\n"],
      ["    randomBytes(saltBytes),\n", "    Buffer.alloc(saltBytes),\n"],
      ["    randomBytes(nonceBytes)\n", "    Buffer.alloc(nonceBytes)\n"],
      ["if (lines.length > 1)", "if (lines.length > 2)"]
    ]
  },
  {
    file: "KeyStore.ts",
    tests: ["keys/protected", "keys/contract"],
    mutants: [
      [
        "kind === wanted ? KeyText.rejectZeros(kind, secret) : KeyText.wrongKind(kind, wanted)",
        "KeyText.rejectZeros(kind, secret)"
      ],
      [
        "kind === wanted ? KeyText.rejectZeros(kind, secret)",
        "kind === wanted ? Either.right(secret)"
      ],
      [
        'Effect.catchTag("KeyExists", () => Effect.succeed(false))',
        'Effect.catchTag("KeyExists", () => Effect.succeed(true))',
        { tests: ["keys/file"] }
      ]
    ]
  },
  {
    file: "KeyFile.ts",
    tests: ["keys/protected"],
    mutants: [
      ["if (ProtectedKey.find(content) !== undefined)", "if (false)"],
      ["Buffer.from(`${commentsOf(content)}${text}`)", "Buffer.from(text)"],
      [
        "!ProtectedKey.isOwnComment(line) && !KeyText.isOwnComment(line)",
        "!KeyText.isOwnComment(line)"
      ]
    ]
  },
  {
    file: "Passphrase.ts",
    tests: ["keys/protected"],
    mutants: [
      [
        'unwrapped.left.reason !== "wrong passphrase" || attempt >= maxAttempts',
        "attempt >= maxAttempts"
      ],
      ["attempt >= maxAttempts)", "attempt > maxAttempts)"],
      ["if (passphrase.length === 0)", "if (false)"],
      ["if (passphrase.length > limits.passphraseBytes)", "if (false)"],
      ['text.normalize("NFC")', "text"]
    ]
  },
  {
    file: "TemporaryFile.ts",
    tests: ["keys/foreignLeftovers", "keys/file", "keys/replacedFile"],
    mutants: [
      ["writer.host !== hostHash() ||", ""],
      ["stats.isFile() && stats.uid === process.geteuid?.()", "stats.isFile()"],
      ["return (startOf(pid) ?? start) === start", "return true"],
      ["Utf8.clip(path.basename(file), 180)", "path.basename(file)"],
      ["Utf8.clip(path.basename(file), 180)", "path.basename(file).slice(0, 180)"],
      ['if ((cause as NodeJS.ErrnoException).code === "ESRCH") return false', "return false"]
    ]
  },
  {
    file: "ReplacedFile.ts",
    tests: ["keys/file", "files/output", "keys/replacedFile"],
    mutants: [
      [
        "constants.O_RDWR | constants.O_CREAT | constants.O_EXCL",
        "constants.O_RDWR | constants.O_CREAT"
      ],
      ["await handle.chmod(mode & 0o777)", "await handle.chmod(0o666)"],
      ["if (replaced === undefined) await handle.chmod(0o600)", ""],
      ["if (made.uid !== uid || made.gid !== gid)", "if (false)"],
      [
        "    await unlink(temporary).catch(() => {})\n    throw cause\n  }\n  await flush",
        "    throw cause\n  }\n  await flush"
      ]
    ]
  },
  {
    file: "Rotation.ts",
    tests: ["keys/rotation"],
    mutants: [
      ["if (current?.isSymbolicLink() === true)", "if (false)"],
      [
        "current?.ino === retiring.ino && current.dev === retiring.dev",
        "current?.ino === retiring.ino",
        { equivalent: "both files are in one folder, and so on one device" }
      ],
      ['if (stage === "begun") await link', "await link"],
      ["nextStep[stage] === step ?", "true ?"],
      ['"half switched": "switch"', '"half switched": "finish"']
    ]
  },
  {
    file: "ChildEnvironment.ts",
    tests: ["keys/childEnvironment"],
    mutants: [
      ['new Set(["SEALWIRE_PASSPHRASE"])', "new Set<string>()"],
      ["  withheld.add(name)\n", ""],
      ["filter(([name]) => !withheld.has(name))", "filter(() => true)"],
      ["...Environment.withoutUnusable()", ""],
      [
        "{ ...Object.fromEntries(inherited), ...added }",
        "{ ...added, ...Object.fromEntries(inherited) }"
      ]
    ]
  },
  {
    file: "Environment.ts",
    tests: ["keys/environment"],
    mutants: [
      ["if (!Utf8.isWellFormed(value)) return Either.left(invalid)", ""],
      ["if (!value.includes(Utf8.replacement)) return Either.right(value)", ""],
      ["return Either.left(unknown)", "return Either.right(value)"],
      ["given.toString() === value && ", ""],
      ["&& Utf8.decode(given) === undefined", ""],
      ["const start = `${name}=`", "const start = name"]
    ]
  },
  {
    file: "RealPath.ts",
    tests: ["keys/realPath"],
    mutants: [
      ["const text = Utf8.decode(bytes)", "const text = Buffer.from(bytes).toString()"],
      ["strict(await realpath(file, buffer))", "await realpath(file)"],
      ["strict(realpathSync.native(file, buffer))", "realpathSync.native(file)"],
      ["strict(await readlink(link, buffer))", "await readlink(link)"],
      ["strict(readlinkSync(link, buffer))", "readlinkSync(link)"]
    ]
  },
  {
    file: "InheritedDescriptors.ts",
    tests: ["keys/inheritedDescriptors"],
    mutants: [["fd > 2 && isPassedOn(fd)", "false"]]
  },
  {
    file: "Descriptor.ts",
    tests: ["keys/descriptor"],
    mutants: [
      ["  descriptor <= 2\n", "  false\n"],
      ["        closeInherited(descriptor)\n", "        Effect.void\n"],
      ["Buffer.alloc(maxBytes + 1)", "Buffer.alloc(maxBytes)"]
    ]
  },
  {
    file: "providers/EnvKeys.ts",
    tests: ["keys/childEnvironment"],
    mutants: [["if (environment === process.env) ChildEnvironment.withhold(name)", ""]]
  },
  {
    file: "UtcDate.ts",
    tests: ["peers/peers"],
    mutants: [
      ["!Number.isNaN(millis) && new Date(millis).toISOString() === whole", "!Number.isNaN(millis)"]
    ]
  },
  {
    file: "providers/FileKeys.ts",
    tests: ["keys/openFlags", "keys/file"],
    mutants: [
      ["const groupAndOthers = 0o077", "const groupAndOthers = 0o044"],
      ["stats.uid !== me && stats.uid !== 0", "false"],
      ["  if (!stats.isFile())", "  if (stats.isDirectory())"],
      [
        "constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY",
        "constants.O_RDONLY | constants.O_NOCTTY"
      ],
      [
        "constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY",
        "constants.O_RDONLY | constants.O_NONBLOCK"
      ],
      [
        "      await link(temporary, file)\n      await unlink(temporary)",
        "      await rename(temporary, file)"
      ],
      [
        "const target = await RealPath.resolve(file)\n",
        "const target = file\n",
        { tests: ["keys/openFlags"] }
      ]
    ]
  },
  {
    file: "providers/CredKeys.ts",
    tests: ["keys/providers"],
    mutants: [
      ['name === ".." || /[/\\0]/.test(name)', 'name === ".."'],
      [
        'if (environment === process.env) ChildEnvironment.withhold("CREDENTIALS_DIRECTORY")',
        "",
        { tests: ["keys/childEnvironment"] }
      ],
      ["const othersAndGroupWrite = 0o037", "const othersAndGroupWrite = 0o007"]
    ]
  }
])
