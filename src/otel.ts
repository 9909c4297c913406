/**
 * Exports the spans, metrics and logs of programs to an OpenTelemetry collector.
 *
 * @packageDocumentation
 */
export * as Telemetry from "./otel/Telemetry.ts"
