import type { Entry } from "../Entry.ts"
import { checkConfig } from "./checkConfig.ts"
import { classicKeygen } from "./classicKeygen.ts"
import { classicSend } from "./classicSend.ts"
import { classicServe } from "./classicServe.ts"
import { debugNoise } from "./debugNoise.ts"
import { decrypt } from "./decrypt.ts"
import { encrypt } from "./encrypt.ts"
import { fingerprint } from "./fingerprint.ts"
import { inboxDone } from "./inboxDone.ts"
import { inboxList } from "./inboxList.ts"
import { inboxPrune } from "./inboxPrune.ts"
import { inboxShow } from "./inboxShow.ts"
import { inboxTake } from "./inboxTake.ts"
import { inspect } from "./inspect.ts"
import { keysProtect } from "./keysProtect.ts"
import { keysUnprotect } from "./keysUnprotect.ts"
import { keygen } from "./keygen.ts"
import { keysRotate } from "./keysRotate.ts"
import { pair } from "./pair.ts"
import { peersAdd } from "./peersAdd.ts"
import { peersList } from "./peersList.ts"
import { peersRemove } from "./peersRemove.ts"
import { peersRename } from "./peersRename.ts"
import { peersRevoke } from "./peersRevoke.ts"
import { peersShow } from "./peersShow.ts"
import { pipe } from "./pipe.ts"
import { pubkey } from "./pubkey.ts"
import { pull } from "./pull.ts"
import { push } from "./push.ts"
import { rekey } from "./rekey.ts"
import { send } from "./send.ts"
import { serve } from "./serve.ts"
import { status } from "./status.ts"
import { tunnel } from "./tunnel.ts"

/** A first word that holds commands: what they have in common. */
export const groups: Readonly<Record<string, string>> = {
  peers: "who may come in (authorized_peers), and which servers are known (known_peers)",
  keys: "key files: a passphrase on and off, and one key changed for the next",
  inbox: "the messages that serve --inbox has stored",
  classic: "the origin's system: one message a connection, AES-128-CBC with a fixed key file"
}

/** Every command that help lists, in its order. */
export const shown: readonly [Entry, ...ReadonlyArray<Entry>] = [
  serve,
  send,
  push,
  pull,
  tunnel,
  pipe,
  inboxList,
  inboxShow,
  inboxTake,
  inboxDone,
  inboxPrune,
  encrypt,
  decrypt,
  rekey,
  keygen,
  pubkey,
  pair,
  peersList,
  peersShow,
  peersAdd,
  peersRename,
  peersRevoke,
  peersRemove,
  fingerprint,
  keysProtect,
  keysUnprotect,
  keysRotate,
  inspect,
  status,
  checkConfig,
  classicServe,
  classicSend,
  classicKeygen
]

/** Every command; those that help does not list are for finding faults, and promise nothing. */
export const commands: readonly [Entry, ...ReadonlyArray<Entry>] = [...shown, debugNoise]
