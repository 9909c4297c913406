import { room } from "./Mutant.ts"

export const transports = room("transports", [
  {
    file: "canonicalHost.ts",
    tests: ["transports/address"],
    mutants: [
      ["[\\0- \\x7f#?%/", "[\\0- \\x7f#?/"],
      ["[\\0- \\x7f#?%/", "[\\0- \\x7f#?%"],
      ["[\\0- \\x7f#?%/", "[#?%/"],
      ['.replace(/\\.$/, "")', ""],
      ['return label !== ""', "return true"],
      ['return !decoded.startsWith("xn--") && domainToASCII(decoded) === label', "return true"],
      ["if (mapped !== null)", "if (false)"],
      ["zone !== undefined && /^fe[89ab]/.test(short)", "zone !== undefined"],
      ["[value >> 8, value & 0xff]", "[value & 0xff, value >> 8]"]
    ]
  },
  {
    file: "Repeats.ts",
    tests: ["transports/repeats"],
    mutants: [
      ["this.#groups.size >= limits.reportGroups", "this.#groups.size > limits.reportGroups + 1"],
      ["      group.count = 0\n", ""],
      ["      else this.#groups.delete(key)\n", ""],
      ["      group.event = counted\n", ""],
      ["    this.#cancel?.()\n", ""],
      ["    this.#cancel = undefined\n    this.#report()\n    if", "    this.#report()\n    if"]
    ]
  },
  {
    file: "Deadline.ts",
    tests: ["channel/closeDeadline"],
    mutants: [
      [
        "const cancel = timers.scheduleRelease(Duration.toMillis(duration), done)",
        "const cancel = () => {}"
      ]
    ]
  },
  {
    file: "Timers.ts",
    tests: ["services/teardown"],
    mutants: [
      ["after(Math.min(millis, limits.virtualReleaseMillis), done)", "() => {}"],
      [
        "const onClock = this.schedule(millis, done)",
        "const onClock = () => {}",
        { tests: ["channel/closeDeadline"] }
      ]
    ]
  },
  {
    file: "AdmissionControl.ts",
    tests: ["transports/evictions", "transports/admissionControl"],
    mutants: [
      [
        'peer.startsWith("unix:") || !/:\\d+$/.test(peer) ? undefined : sourceOf(peer)',
        "sourceOf(peer)"
      ]
    ]
  },
  {
    file: "Address.ts",
    tests: ["transports/address"],
    mutants: [
      ["if (canonicalForm === undefined)\n    throw", "if (false)\n    throw"],
      ['path.split("/").includes("..") ? normalize(path) : path', "path"],
      ["const host = canonicalHost(address.host) ?? address.host", "const host = address.host"],
      ["{ ...address, path: socketPath(resolve(address.path)) }", "address"],
      ["{ onLeft: () => text, onRight: canonical }", "{ onLeft: () => text, onRight: () => text }"],
      ["const host = canonicalHost(text)\n", "const host = text\n"],
      ['(isIPv4(host) && host.startsWith("127."))', 'host.startsWith("127.")']
    ]
  }
])
