/**
 * What programs of Sealwire's layers do, told to a collector of OpenTelemetry: spans, figures and logs.
 *
 * @packageDocumentation
 */
export * as Telemetry from "./otel/Telemetry.ts"
