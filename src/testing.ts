/**
 * Helpers for tests of programs that use sealwire: in-memory networks with faults, in-memory keys,
 * and the laws that a key provider, a cipher or a transport must satisfy.
 *
 * @packageDocumentation
 */
export { byteStreamLaws, type ByteStreamSubject } from "./testing/byteStreamLaws.ts"
export { chaos, type ChaosLimits } from "./testing/chaos.ts"
export { cipherLaws } from "./testing/cipherLaws.ts"
export { mutualKeys, layerFreshKey, type MutualKeys } from "./testing/keys.ts"
export { keyStoreLaws, type KeyStoreSubject } from "./testing/keyStoreLaws.ts"
export type { Runner } from "./testing/Runner.ts"
export { transportLaws } from "./testing/transportLaws.ts"
export type { TransportSubject } from "./testing/TransportSubject.ts"
