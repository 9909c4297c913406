// `npm run docs [-- FOLDER]`: generates the API pages of every entry point into docs/api, or
// FOLDER. Fails if an export is undocumented.
import { spawnSync } from "node:child_process"

const entryPoints = ["index", "platform", "node", "cluster", "testing", "otel"]

/** The kinds of declarations that need documentation. */
const documented = ["Class", "Enum", "Function", "Interface", "TypeAlias", "Variable"]

/** Types that are reachable from the exports and deliberately not exported themselves. */
const notExported = [
  "src/channel/Handshake.ts:Session",
  "src/files/Head.ts:Head",
  "src/files/Payload.ts:Sealed",
  "src/peers/Network.ts:Network",
  "src/peers/Peers.ts:Parse",
  "src/peers/Pin.ts:Pin",
  "src/keys/ProtectedKey.ts:Scrypt",
  "src/platform/NodeStreams.ts:Common",
  "src/platform/NodeStreams.ts:WithIdentity",
  "src/platform/NodeStreams.ts:WithSharedKey",
  "src/platform/SecureCluster.ts:Needs",
  "src/services/messages/MessageFrame.ts:Piece",
  "src/services/inbox/Outbox.ts:Parts",
  "src/services/Retry.ts:Failure",
  "src/services/Retry.ts:OnPause",
  "src/services/tunnel/Splice.ts:PlainConnection",
  "src/services/inbox/StoredMessage.ts:LeaseOptions",
  "src/services/tunnel/Messages.ts:FailureReason",
  "src/services/transfer/SafeDirectory.ts:SafeDirectory",
  "src/services/transfer/TransferErrors.ts:Side",
  "src/services/transfer/Messages.ts:LeftOut",
  "src/services/transfer/Messages.ts:Receipt"
]

const each = (option: string, values: ReadonlyArray<string>) =>
  values.flatMap((value) => [option, value])

const { status } = spawnSync(
  process.execPath,
  [
    [
      "node_modules/typedoc/bin/typedoc",
      "--name",
      "sealwire",
      "--out",
      process.argv[2] ?? "docs/api",
      "--logLevel",
      "Warn"
    ],
    // Node and Effect document the inherited members of classes.
    ["--excludeInternal", "--excludeExternals", "--disableSources", "--treatWarningsAsErrors"],
    [
      "--validation.notExported",
      "true",
      "--validation.invalidLink",
      "true",
      "--validation.notDocumented",
      "true"
    ],
    each("--requiredToBeDocumented", documented),
    each("--intentionallyNotExported", notExported),
    each(
      "--entryPoints",
      entryPoints.map((entry) => `src/${entry}.ts`)
    )
  ].flat(),
  { stdio: "inherit" }
)
process.exitCode = status ?? 1
