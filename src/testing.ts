/**
 * For the tests of a program that is built on sealwire: networks in memory with chaos, keys in memory, and the laws that a
 * key provider, a cipher or a transport of one's own must keep.
 *
 * @packageDocumentation
 */
export { chaos, type ChaosLimits } from "./testing/chaos.ts"
export { cipherLaws } from "./testing/cipherLaws.ts"
export { mutualKeys, layerFreshKey, type MutualKeys } from "./testing/keys.ts"
export { keyStoreLaws, type KeyStoreSubject } from "./testing/keyStoreLaws.ts"
export type { Runner } from "./testing/Runner.ts"
export { transportLaws } from "./testing/transportLaws.ts"
export type { TransportSubject } from "./testing/TransportSubject.ts"
