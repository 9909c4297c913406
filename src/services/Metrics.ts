// The metrics of a server: its own, and the mechanism with which each service declares others.
// They appear on the /metrics page of `serve` and as metrics of Effect, which any exporter reads.
import * as EffectMetric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"
import type { Counters } from "./Service.ts"

/**
 * A number that is exported. No label names a peer: metrics do not reveal peers. An update takes
 * about 30 ns: make one per batch or chunk, not per byte.
 */
export interface Metric {
  /** The name for Prometheus and OpenTelemetry. */
  readonly name: string
  readonly type: "gauge" | "counter" | "histogram"
  readonly help: string
}

/** A total that only grows. Several servers of one process add up. */
export interface Counter extends Metric {
  readonly type: "counter"
  /** Adds to the total; never negative. */
  readonly add: (amount: number) => void
  /** Returns `add` for one target of the server, as a label. */
  readonly forTarget: (target: string) => (amount: number) => void
}

/** A current value. */
export interface Gauge extends Metric {
  readonly type: "gauge"
  /** Adds to the sum over all servers of the process; negative to subtract. */
  readonly add: (amount: number) => void
  /** Replaces the value. */
  readonly set: (value: number) => void
}

/**
 * Declares a counter.
 *
 * @example
 * const lines = Metrics.counter("chat_lines_total", "Lines that were said.")
 * lines.add(1)
 */
export const counter = (name: string, help: string): Counter => {
  const options = { description: help, incremental: true } as const
  const metric = EffectMetric.counter(name, options)
  /** As many as the server has targets: each connection of a tunnel asks for one. */
  const adders = new Map<string, Counter["add"]>()
  return {
    name,
    type: "counter",
    help,
    add: (amount) => metric.unsafeUpdate(amount, []),
    forTarget: (target) => {
      const known = adders.get(target)
      if (known !== undefined) return known
      // A tagged metric looks its key up at each update; the metric of a tagged key does not.
      const key = MetricKey.tagged(MetricKey.counter(name, options), "target", target)
      const tagged = EffectMetric.fromMetricKey(key)
      const add = (amount: number) => tagged.unsafeUpdate(amount, [])
      adders.set(target, add)
      return add
    }
  }
}

/** Declares a gauge. */
export const gauge = (name: string, help: string): Gauge => {
  const sum = EffectMetric.counter(name, { description: help, incremental: false })
  const value = EffectMetric.gauge(name, { description: help })
  return {
    name,
    type: "gauge",
    help,
    add: (amount) => sum.unsafeUpdate(amount, []),
    set: (current) => value.unsafeUpdate(current, [])
  }
}

/** A distribution of durations in seconds. Several servers of one process add up. */
export interface Histogram extends Metric {
  readonly type: "histogram"
  /** Adds one observation. */
  readonly observe: (seconds: number) => void
  /** Returns the observations so far. */
  readonly current: () => Distribution
}

/** The observations of a histogram so far. */
export interface Distribution {
  /** The number of observations up to each bound, in seconds. */
  readonly buckets: ReadonlyArray<readonly [seconds: number, count: number]>
  readonly count: number
  readonly sum: number
}

/** Bounds of the buckets in seconds: from a commit on a fast disk to the longest deadline. */
const seconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** Declares a histogram of durations. */
export const histogram = (name: string, help: string): Histogram => {
  const metric = EffectMetric.histogram(name, MetricBoundaries.fromIterable(seconds), help)
  return {
    name,
    type: "histogram",
    help,
    observe: (value) => metric.unsafeUpdate(value, []),
    current: () => {
      const { buckets, count, sum } = metric.unsafeValue([])
      return { buckets: buckets.filter(([bound]) => Number.isFinite(bound)), count, sum }
    }
  }
}

/**
 * Returns a function that adds to a counter of a session and to the metric of the same name; with
 * `target`, to the metric of that target.
 *
 * @example
 * const count = Metrics.sessionCounter({ lines }, session.counters)
 * count("lines", 1)
 */
export const sessionCounter = <Name extends string>(
  metrics: Readonly<Record<Name, Counter>>,
  counters: Counters,
  target?: string
): ((name: Name, amount: number) => void) => {
  const adders = new Map<Name, Counter["add"]>()
  for (const name in metrics)
    adders.set(name, target === undefined ? metrics[name].add : metrics[name].forTarget(target))
  return (name, amount) => {
    counters[name] = (counters[name] ?? 0) + amount
    adders.get(name)?.(amount)
  }
}

/** The metrics of the server itself. */
export const metrics = {
  up: gauge("sealwire_up", "1 if it can do its work, 0 if not; label reason: why not."),
  buildInfo: gauge("sealwire_build_info", "1; labels version and node: what runs."),
  startTime: gauge("sealwire_start_time_seconds", "Start time of the server, since 1970."),
  sessions: gauge("sealwire_sessions", "Sessions that are open."),
  halfOpen: gauge("sealwire_half_open_connections", "Connections whose handshake is not complete."),
  handshake: histogram(
    "sealwire_handshake_seconds",
    "Time from the acceptance of a connection to the end of its handshake."
  ),
  sessionsStarted: counter("sealwire_sessions_total", "Sessions that were started."),
  sessionsFailed: counter("sealwire_sessions_failed_total", "Sessions that ended with an error."),
  connectionsRefused: counter(
    "sealwire_connections_refused_total",
    "Connections whose handshake was refused."
  )
} as const
