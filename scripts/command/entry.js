// dist/sealwire.js: starts the command, or says which version of Node it needs. It is ECMAScript 5
// without import and export, so that every version of Node can parse it, as a module and as a script.
;(function () {
  var needed = SEALWIRE_NODE
  var parts = process.version.slice(1).split(".").map(Number)
  if (parts[0] < needed[0] || (parts[0] === needed[0] && parts[1] < needed[1])) {
    console.error(
      "sealwire: Node " +
        process.version +
        " is too old; install Node " +
        needed.join(".") +
        " or newer"
    )
    // As for a wrong configuration: ExitCode.ts, which an old Node cannot load.
    process.exitCode = 2
    return
  }
  // A module has no `require`, and a script no `import.meta`; the path may be a symbolic link.
  var self = process.getBuiltinModule("fs").realpathSync(process.argv[1])
  process.getBuiltinModule("module").createRequire(self)("./sealwire/" + SEALWIRE_LAUNCH)
})()
