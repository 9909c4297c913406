// `npm run docs [-- FOLDER]`: generates the API pages of every entry point into docs/api, or
// FOLDER. Fails if an export is undocumented.
import { spawnSync } from "node:child_process"

const entryPoints = [
  "index",
  "messages",
  "inbox",
  "sql",
  "files",
  "transfer",
  "tunnel",
  "rpc",
  "platform",
  "cluster",
  "node",
  "testing",
  "otel"
]

/** The kinds of declarations that need documentation. */
const documented = ["Class", "Enum", "Function", "Interface", "TypeAlias", "Variable"]

/** Declarations that are reachable from the exports and deliberately not exported themselves. */
const notExported = [
  "src/channel/Suite.ts:allSuites",
  "src/channel/Handshake.ts:HandshakeResult",
  "src/files/Payload.ts:SealedPayload",
  "src/files/Prelude.ts:Prelude",
  "src/keys/ProtectedKey.ts:Scrypt",
  "src/peers/AuthorizedPeers.ts:Change",
  "src/peers/AuthorizedPeers.ts:Peers",
  "src/peers/KnownPeers.ts:PinRefused",
  "src/peers/Network.ts:Network",
  "src/peers/OptionSpec.ts:Described",
  "src/peers/PeerLine.ts:Fault",
  "src/peers/PeerLine.ts:GivenOption",
  "src/peers/Peers.ts:Parse",
  "src/peers/Pin.ts:Pin",
  "src/platform/NodeStreams.ts:Common",
  "src/platform/NodeStreams.ts:WithIdentity",
  "src/platform/NodeStreams.ts:WithSharedKey",
  "src/platform/SecureCluster.ts:Needs",
  "src/services/PeerSessions.ts:Allowance",
  "src/services/PeerSessions.ts:RuleCheck",
  "src/services/Retry.ts:Failure",
  "src/services/Retry.ts:OnPause",
  "src/services/ServerConnection.ts:PinError",
  "src/services/inbox/Outbox.ts:OutboxParts",
  "src/services/inbox/sql/SqlDatabase.ts:databases",
  "src/services/inbox/sql/SqlDatabase.ts:SqlDatabase",
  "src/services/inbox/sql/SqlInbox.ts:SqlInboxParts",
  "src/services/messages/MessageFrame.ts:Batch",
  "src/services/transfer/Messages.ts:LeftOut",
  "src/services/transfer/Messages.ts:Receipt",
  "src/services/transfer/SafeDirectory.ts:SafeDirectory",
  "src/services/transfer/TransferErrors.ts:Side",
  "src/services/tunnel/SpliceOptions.ts:PlainConnection",
  "src/transports/Transport.ts:Transport",
  "src/transports/Transport.ts:Transport.Listener",
  "src/transports/Transport.ts:Transport.Shape"
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
