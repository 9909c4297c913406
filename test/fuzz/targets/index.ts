// Every target of the fuzzer. A new one is added here, and gets its corpus from
// `npm run fuzz -- NAME`. Each is loaded by itself: reading the coverage takes longer the more code
// the process has loaded.
import type { Target } from "../Target.ts"

type Load = () => Promise<Target>

const loads: Readonly<Record<string, Load>> = {
  answers: async () => (await import("./answers.ts")).answerFrames,
  "authorized-peers": async () => (await import("./peers.ts")).authorizedPeers,
  config: async () => (await import("./config.ts")).config,
  control: async () => (await import("./control.ts")).control,
  "encrypted-file": async () => (await import("./encryptedFile.ts")).encryptedFile,
  "first-message": async () => (await import("./firstMessage.ts")).firstMessage,
  handshake: async () => (await import("./handshake.ts")).handshake,
  incoming: async () => (await import("./incoming.ts")).incoming,
  "key-text": async () => (await import("./keyText.ts")).keyText,
  "known-peers": async () => (await import("./peers.ts")).knownPeers,
  manifest: async () => (await import("./manifest.ts")).manifest,
  messages: async () => (await import("./messages.ts")).messages,
  "proxy-header": async () => (await import("./proxyHeader.ts")).proxyHeader,
  receipts: async () => (await import("./receipts.ts")).receipts,
  records: async () => (await import("./records.ts")).records,
  "sealed-frames": async () => (await import("./sealedFrames.ts")).sealedFrames,
  "spoken-codes": async () => (await import("./spokenCodes.ts")).spokenCodes,
  "transfer-bodies": async () => (await import("./transferBodies.ts")).transferBodies
}

export const targetNames: ReadonlyArray<string> = Object.keys(loads)

/** Loads a target; undefined if no target has this name. */
export const loadTarget = async (name: string): Promise<Target | undefined> => loads[name]?.()
