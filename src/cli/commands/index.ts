import type { CommandList } from "../arguments/CommandList.ts"
import type { CommandSpec } from "../arguments/CommandSpec.ts"
import { checkConfig } from "./checkConfig.ts"
import { classicKeygen } from "./classic/keygen.ts"
import { classicSend } from "./classic/send.ts"
import { classicServe } from "./classic/serve.ts"
import { completions } from "./completions.ts"
import { debugNoise } from "../debug/noise.ts"
import { decrypt } from "./decrypt.ts"
import { encrypt } from "./encrypt.ts"
import { fingerprint } from "./fingerprint.ts"
import { help } from "./help.ts"
import { inboxDone } from "./inbox/done.ts"
import { inboxList } from "./inbox/list.ts"
import { inboxPrune } from "./inbox/prune.ts"
import { inboxRetry } from "./inbox/retry.ts"
import { inboxShow } from "./inbox/show.ts"
import { inboxTake } from "./inbox/take.ts"
import { inboxWork } from "./inbox/work.ts"
import { inspect } from "./inspect.ts"
import { keysProtect } from "./keys/protect.ts"
import { keysUnprotect } from "./keys/unprotect.ts"
import { keygen } from "./keygen.ts"
import { keysRotate } from "./keys/rotate.ts"
import { pair } from "./pair.ts"
import { peersAdd } from "./peers/add.ts"
import { peersList } from "./peers/list.ts"
import { peersRemove } from "./peers/remove.ts"
import { peersRename } from "./peers/rename.ts"
import { peersRevoke } from "./peers/revoke.ts"
import { peersShow } from "./peers/show.ts"
import { pipe } from "./pipe.ts"
import { pubkey } from "./pubkey.ts"
import { pull } from "./pull.ts"
import { push } from "./push.ts"
import { rekey } from "./rekey.ts"
import { send } from "./send.ts"
import { serve } from "./serve.ts"
import { status } from "./status.ts"
import { tunnel } from "./tunnel.ts"

const groups: Readonly<Record<string, string>> = {
  inbox: "read, handle and delete the messages that serve stores",
  peers: "authorized clients and pinned servers",
  keys: "key files: passphrases and rotation",
  classic: "the origin's system: AES-128-CBC with a fixed key file"
}

const shown: ReadonlyArray<CommandSpec> = [
  serve,
  send,
  inboxList,
  inboxShow,
  inboxTake,
  inboxWork,
  inboxDone,
  inboxRetry,
  inboxPrune,
  push,
  pull,
  encrypt,
  decrypt,
  rekey,
  tunnel,
  pipe,
  pair,
  keygen,
  pubkey,
  fingerprint,
  peersList,
  peersShow,
  peersAdd,
  peersRename,
  peersRevoke,
  peersRemove,
  keysProtect,
  keysUnprotect,
  keysRotate,
  status,
  inspect,
  checkConfig([serve, tunnel]),
  completions(() => commandList),
  help(() => commandList),
  classicServe,
  classicSend,
  classicKeygen
]

export const commandList: CommandList = {
  // The commands that help omits are for debugging; their interface may change at any time.
  commands: [...shown, debugNoise],
  shown,
  groups
}
