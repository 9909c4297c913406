import { room } from "./Mutant.ts"

export const bytes = room("bytes", [
  {
    file: "Utf8.ts",
    tests: ["bytes/utf8"],
    mutants: [
      ["fatal: true, ignoreBOM: true", "fatal: false, ignoreBOM: true"],
      ["fatal: true, ignoreBOM: true", "fatal: true, ignoreBOM: false"],
      ['  new TextDecoder("utf-8", options)\n\n', '  new TextDecoder("utf-8")\n\n'],
      ["|(?<![\\ud800-\\udbff])[\\udc00-\\udfff]", ""],
      ["[\\ud800-\\udbff](?![\\udc00-\\udfff])|", ""],
      [
        'if (!isWellFormed(text)) throw new RangeError("the text contains half of a surrogate pair")',
        ""
      ],
      ["while (data[offset] === lossy[offset]) offset++", "while (data[offset] === 0x61) offset++"],
      [
        "while (before === undefined) before = decode(data.subarray(0, --offset))",
        'before ??= data.toString("utf8", 0, offset)'
      ],
      ["if (length > maxBytes) break", "if (length >= maxBytes) break"]
    ]
  },
  {
    file: "mayBeSecret.ts",
    tests: ["bytes/mayBeSecret"],
    mutants: [
      ['.replace(publicForms, " ")', ""],
      ["  isBase64,\n", ""],
      ["  isGroupedHex,\n", ""],
      ["  isZ85,\n  isCode\n", "  isZ85\n"],
      [
        "const exactLengths: ReadonlyArray<number> = [43, 64]",
        "const exactLengths: ReadonlyArray<number> = []"
      ],
      ["const exactLimit = 0.25", "const exactLimit = 0.6"],
      ["if (words.length >= 4 && isWordOf", "if (words.length >= 5 && isWordOf"],
      ["return joined.length >= 6 &&", "return joined.length >= 8 &&"],
      ["  isPassword,\n", ""],
      ["matches(/[0-9a-fA-F]{48}/)", "matches(/[0-9a-fA-F]{65}/)"],
      ["{3,8}[\\s,]+){11}", "{3,8}[\\s,]+){23}"],
      ["  matches(/:\\/\\/[^/\\s:@]*:[^@\\s/]+@/),\n", ""],
      ["(?:sealwire-[a-z-]*|age-secret-key-[a-z-]*)1", "(?:sealwire-[a-z-]*)1"],
      ['text.startsWith("exec:")', "false"]
    ]
  }
])
