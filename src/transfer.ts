/**
 * Files and folders over a channel: push and pull that resume, and the service of a server.
 * TRANSFER.md.
 *
 * @packageDocumentation
 */
export * from "./core.ts"
export * as FileService from "./services/transfer/FileService.ts"
export * as FileClient from "./services/transfer/FileClient.ts"
export { SafeDirectories } from "./services/transfer/SafeDirectory.ts"
export { SafePath } from "./services/transfer/SafePath.ts"
export { FileWalker } from "./services/transfer/FileWalker.ts"
export type { SourceEntry } from "./services/transfer/SourceFile.ts"
export type { Entry as FileEntry } from "./services/transfer/Manifest.ts"
export { noProgress, type TransferProgress } from "./services/transfer/TransferProgress.ts"
export { DiskFailed, TransferStopped } from "./services/transfer/TransferErrors.ts"
export * as FileRules from "./services/transfer/rules.ts"
