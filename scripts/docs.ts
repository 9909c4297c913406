// `npm run docs`: the API pages of the library, every door, into docs/api. What a door shows is documented, or this fails;
// an argument names another folder.
import { spawnSync } from "node:child_process"

const doors = ["index", "platform", "node", "cluster", "testing", "otel"]

/** What has to say what it is; of properties those that are functions. */
const documented = ["Class", "Enum", "Function", "Interface", "TypeAlias", "Variable"]

/** Parts of what is shown that nobody names: they are reached through it. */
const unnamed = [
  "src/channel/Handshake.ts:Session",
  "src/files/Head.ts:Head",
  "src/files/Payload.ts:Sealed",
  "src/peers/Network.ts:Network",
  "src/peers/Peers.ts:Parse",
  "src/peers/Pin.ts:Pin",
  "src/keys/ProtectedKey.ts:Scrypt",
  "src/peers/Rules.ts:RulesOption",
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
    // What a class of ours has from Node or Effect is documented there.
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
    each("--intentionallyNotExported", unnamed),
    each(
      "--entryPoints",
      doors.map((door) => `src/${door}.ts`)
    )
  ].flat(),
  { stdio: "inherit" }
)
process.exitCode = status ?? 1
